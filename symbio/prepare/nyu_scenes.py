"""Names of NYU scenes."""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"(.+?_\d{4})")


def physical_scene(name: str) -> str:
    """The place that a recording shows: living_room_0046a, _0046b and _0046_out are one.

    Recordings of one place must not be dealt to both train and val. Other names stay as they are.
    """
    match = _NUMBERED.match(name)
    return match.group(1) if match else name
