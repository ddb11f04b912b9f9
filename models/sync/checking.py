"""Whether a bundle's clips are in step, before anything is learned from them: an expert learns any offset.

An expert that knows nothing yet is no judge: lips that were fitted are held against lips that are read from
the sound by a table (`models.offset`), and a clip that is surely out of step is left out. One that has
learned tells better than the table: what it is sure of is brought in step. Both is said; of what is in doubt,
which is usual with short clips, nothing is changed. Called when a training begins.

Shape legend: N rows of a bundle.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.canvas.framing import MOUTH
from models.morphable.builtin import builtin
from models.networks.blocks import pictures_in
from models.offset import PLACING, Offset, estimate, lip_motion, read_lips
from models.sync.measuring import Run, apart, evened, measured
from models.sync.network import SYMBOLS, SyncNet
from models.sync.sight import FRAMES, mouths_of
from models.training import TRAIN, Bundle

__all__ = ["OUT_OF_STEP", "SURE", "clip_offsets", "lateness", "out_of_step"]

OUT_OF_STEP = 1.5  # frames; speakers differ by less in how far lips run ahead
# Of `sync_c`: eight seconds of strangers' sound reached .14 at most (44 pairs of real clips, 30 of puppets).
SURE = 0.16
_LANDMARKS = 478
_ENOUGH = 400  # windows of a clip that are looked at
_RATE = 25.0  # whatever the clip's own: rows of sound go with frames, two by two


def out_of_step(bundle: Bundle) -> set[str]:
    """Clips that must not be learned from; warns of each, ValueError where none is left to train on."""
    found = {name: offset for name, offset in clip_offsets(bundle).items() if _is_out(offset)}
    for name, offset in found.items():
        warnings.warn(f"{_said(name, offset.frames)}; it is left out", stacklevel=2)
    if not any(one.split == TRAIN and one.clip not in found for one in bundle.about.segments):
        raise ValueError(f"{bundle.path}: no clip in step to train on; extract with the right --offset")
    return set(found)


@torch.no_grad()
def lateness(net: SyncNet, bundle: Bundle) -> dict[str, int]:
    """By how many frames the sound of each clip is to be read later, as an expert measures; warns of each."""
    net.eval()
    found: dict[str, int] = {}
    for clip in dict.fromkeys(one.clip for one in bundle.about.segments):
        runs = [
            (s.start, s.stop) for s in bundle.about.segments if s.clip == clip and s.stop - s.start >= FRAMES
        ]
        step = measured([apart(*run) for run in evened(list(_embedded(net, bundle, runs)))])
        frames = round(step.offset) if step.sync_c >= SURE else 0
        if frames:
            warnings.warn(f"{_said(clip, step.offset)}; it is brought in step", stacklevel=2)
            found[clip] = frames
    return found


def _embedded(net: SyncNet, bundle: Bundle, runs: Sequence[tuple[int, int]]) -> Iterator[Run]:
    """What is seen and heard in the first windows of a clip's runs."""
    left = _ENOUGH
    for start, stop in runs:
        rows = slice(start, min(stop, start + left))
        if rows.stop - start >= FRAMES:
            mouths = mouths_of(pictures_in(bundle.tensor("target", rows)), MOUTH)
            yield net.see_run(mouths), net.hear_run(bundle.tensor("sound", rows).float())
        left -= rows.stop - start


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


def _said(clip: str, frames: float) -> str:
    return f"clip {clip}: its sound is {'late' if frames > 0 else 'early'} by {abs(frames):.1f} frames"


def _is_out(offset: Offset) -> bool:
    return offset.confident and abs(offset.frames) >= OUT_OF_STEP


def _motion(key: NDArray[Any]) -> NDArray[np.float64]:
    """(N, 120) fitted mouths to what `models.offset` looks at: the eyes are those of the mean face."""
    points = np.broadcast_to(builtin().mean[:_LANDMARKS, :2], (len(key), _LANDMARKS, 2)).copy()
    points[:, builtin().mouth] = key.reshape(len(key), -1, 3)[..., :2]
    return lip_motion(points)
