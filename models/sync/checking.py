"""Whether a bundle's clips are in step, before anything is learned from them: an expert learns any offset.

Lips that were fitted are held against lips that are read from the sound by a table (`models.offset`), which
knows nothing of the expert. A clip that is surely out of step is left out, and said so; one of which it
cannot be told stays, since doubt is usual with short clips. Called when a training begins.

Shape legend: N rows of a bundle.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.morphable.builtin import builtin
from models.offset import PLACING, Offset, estimate, lip_motion, read_lips
from models.sync.network import SYMBOLS
from models.training import TRAIN, Bundle

__all__ = ["OUT_OF_STEP", "clip_offsets", "out_of_step"]

OUT_OF_STEP = 1.5  # frames; speakers differ by less in how far lips run ahead
_LANDMARKS = 478
_RATE = 25.0  # whatever the clip's own: rows of sound go with frames, two by two


def out_of_step(bundle: Bundle) -> set[str]:
    """Clips that must not be learned from; warns of each, ValueError where none is left to train on."""
    found = {name: offset for name, offset in clip_offsets(bundle).items() if _is_out(offset)}
    for name, offset in found.items():
        side = "late" if offset.frames > 0 else "early"
        what = f"clip {name}: its sound is {side} by {abs(offset.frames):.1f} frames; it is left out"
        warnings.warn(what, stacklevel=2)
    if not any(one.split == TRAIN and one.clip not in found for one in bundle.about.segments):
        raise ValueError(f"{bundle.path}: no clip in step to train on; extract with the right --offset")
    return set(found)


def clip_offsets(bundle: Bundle) -> dict[str, Offset]:
    """By how many frames each clip's sound is late, as fitted lips tell."""
    found: dict[str, Offset] = {}
    for clip in dict.fromkeys(one.clip for one in bundle.about.segments):
        runs = [(s.start, s.stop) for s in bundle.about.segments if s.clip == clip]
        rows = np.concatenate([np.arange(a, b) for a, b in runs])
        shots = np.concatenate([np.full(b - a, number) for number, (a, b) in enumerate(runs)])
        symbols = bundle["sound"][rows][..., SYMBOLS].reshape(2 * len(rows), -1)
        found[clip] = estimate(read_lips(symbols), _motion(bundle["key"][rows]), _RATE, shots, PLACING)
    return found


def _is_out(offset: Offset) -> bool:
    return offset.confident and abs(offset.frames) >= OUT_OF_STEP


def _motion(key: NDArray[Any]) -> NDArray[np.float64]:
    """(N, 120) fitted mouths to what `models.offset` looks at: the eyes are those of the mean face."""
    points = np.broadcast_to(builtin().mean[:_LANDMARKS, :2], (len(key), _LANDMARKS, 2)).copy()
    points[:, builtin().mouth] = key.reshape(len(key), -1, 3)[..., :2]
    return lip_motion(points)
