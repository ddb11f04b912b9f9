"""What speaks against a dub, in plain words. Called by `tasks.dubbing.stage`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.methods import Drawn
from tasks.dubbing.template import Chosen

__all__ = ["canvas_scale", "unrest_of", "warnings_of"]

_SMALL, _LARGE = 0.85, 1.6
_FEW = 0.02
_MOVES = 8.0  # levels of 255 by which what stands still is seen to differ


def canvas_scale(drawn: Drawn | None) -> float | None:
    """Picture pixels to one pixel of what is drawn."""
    return None if drawn is None else float(drawn.places[0, :, 0].norm())


def unrest_of(levels: float) -> list[str]:
    """Of what lies behind a head that is moved."""
    if levels <= _MOVES:
        return []
    return [
        "the camera or what lies behind the head moves: it will be seen to swim around the head; use "
        "`--pose template`, or footage from a tripod"
    ]


def warnings_of(
    chosen: Chosen, order: NDArray[np.int64], share: NDArray[np.float32], scale: float | None, side: int
) -> list[str]:
    """Of the template, as the speech walks over it."""
    seconds = len(order) / chosen.rate
    told = []
    if len(chosen.within) < len(order):
        told.append(
            f"the template lasts {len(chosen.within) / chosen.rate:.1f} s and the speech {seconds:.1f} s: "
            "it is shown back and forth"
        )
    seen = chosen.looks.seen[order]
    lost, aside = float((~seen).mean()), float((seen & (share < 0.5)).mean())
    if lost > _FEW:
        told.append(f"no face in {100 * lost:.0f} % of the frames: they are left as they are")
    if aside > _FEW:
        told.append(
            f"the face is turned aside in {100 * aside:.0f} % of the frames: its own mouth stays there"
        )
    if int(chosen.material.group.attrs.get("faces_at_once", 1)) > 1:
        told.append("more than one face is seen in the template: only the one that was followed speaks")
    if scale is not None and scale < _SMALL:
        told.append(
            f"the face is small: what is drawn at {side} pixels is shown at {scale * side:.0f}; a closer "
            "shot would show more"
        )
    if scale is not None and scale > _LARGE:
        told.append(
            f"the face is larger than this preset draws: {side} pixels are shown at {scale * side:.0f}, and "
            "the mouth will be softer than its surroundings"
        )
    return told
