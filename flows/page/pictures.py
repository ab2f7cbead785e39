"""Pictures inside Markdown: Prefect keeps no files, so they are part of the text."""

from __future__ import annotations

import base64
import io
from pathlib import Path

_WIDTH_PX = 800
_QUALITY = 75


def embedded(path: Path) -> str:
    """Markdown of a picture file, as a JPEG data: address of some 50 kB."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((_WIDTH_PX, _WIDTH_PX))
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=_QUALITY, optimize=True)
    address = base64.b64encode(packed.getvalue()).decode("ascii")
    return f"![{path.stem}](data:image/jpeg;base64,{address})"
