"""Reads the outer boxes of an MP4 or MOV file, to say in plain words what a damaged one lacks.

For this package only. Reads box headers, never their contents.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cut_short", "missing_index", "outer_boxes"]

_BRANDED = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof"}


def outer_boxes(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of each outer box; nothing for a file that is not made of boxes.

    The end is what the header claims, which in a cut file lies beyond the end of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while start + 8 <= size:
            file.seek(start)
            head = file.read(16)
            (length,), name = struct.unpack(">I", head[:4]), head[4:8]
            if start == 0 and name not in _BRANDED:
                return
            if length == 1 and len(head) == 16:
                (length,) = struct.unpack(">Q", head[8:])
            end = size if length == 0 else start + max(length, 8)
            yield name, start, end
            start = end


def missing_index(path: Path) -> str | None:
    """What to say of a file of boxes that has no index (moov), else None."""
    try:
        names = {name for name, _, _ in outer_boxes(path)}
    except OSError:
        return None
    if not names or b"moov" in names:
        return None
    return "cut short: its index (moov) is missing, as when a recording or a copy was interrupted"


def cut_short(path: Path) -> bool:
    """Whether a file of boxes ends before its last box does."""
    ends = [end for _, _, end in outer_boxes(path)]
    return bool(ends) and ends[-1] > path.stat().st_size
