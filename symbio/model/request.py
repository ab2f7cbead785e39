"""Pictures as others send them: taken if they are pictures, else refused with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError

MAX_PIXELS = 4_000_000
"""Of all pictures of one request: one of 2300 x 1700, or 13 of 640 x 480.

MLflow's server parses JSON before the model sees it: this many take it 12 s and 0.8 GiB.
"""


def pictures_in(given: Any) -> NDArray[np.uint8]:
    """The pictures of a request, uint8 (B, H, W, 3); values are refused, never wrapped or rounded.

    Args:
        given: integers 0..255 of any type, (B, H, W, 3), as an array or as lists.

    Raises:
        SymbioError: it is something else, or has more than `MAX_PIXELS` pixels.
    """
    if not isinstance(given, (np.ndarray, list, tuple)):
        raise _refused(f"found a {type(given).__name__}")
    try:
        array = np.asarray(given)
    except (ValueError, OverflowError) as error:
        raise _refused(f"they are no array ({error})") from error
    if array.ndim != 4 or array.shape[-1] != 3:
        raise _refused(f"found shape {array.shape}")
    if not array.size:
        raise _refused(f"found shape {array.shape}: there is no pixel")
    pixels = array.size // 3
    if pixels > MAX_PIXELS:
        raise _refused(f"found {pixels} pixels, at most {MAX_PIXELS} are taken at once")
    if array.dtype.kind not in "iu":
        hint = "; scale by 255 and round what lies in 0..1" if array.dtype.kind == "f" else ""
        raise _refused(f"found values of type {array.dtype}{hint}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 255:
        raise _refused(f"found values {low} to {high}")
    return array.astype(np.uint8)


def _refused(found: str) -> SymbioError:
    return SymbioError(f"pictures must be integers 0..255 of shape (B, H, W, 3), RGB: {found}")
