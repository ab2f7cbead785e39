"""Where a shard ends: decided by the frames themselves, so that a change stays in its shard.

Shards of a fixed size would all shift when one frame is added in front, and a store that goes by
content would move every one of them. Here the hash of a frame's key says whether the frame begins
a new shard, so that after a change the old boundaries are soon met again (content-defined
chunking; Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001).
"""

from __future__ import annotations

import hashlib

_HASHES = 2**64


def begins_shard(key: str, size: int, filled: int, typical: int) -> bool:
    """Whether a frame goes into a new shard.

    A shard that is followed by another holds at least half of `typical` and, unless a single
    frame is larger, at most twice as much; on average it holds about `typical`.

    Args:
        key: the frame's.
        size: bytes that the frame will fill.
        filled: bytes of the shard that is being written; 0 for an empty one.
        typical: bytes of a shard.
    """
    least, largest = typical // 2, 2 * typical
    if filled == 0 or filled < least:
        return False
    if filled + size > largest:
        return True
    # Large frames are fewer to a shard, so each must begin one more often.
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return drawn * (typical - least) < size * _HASHES
