"""A performance: what a puppet does in every frame of a piece of speech. Pure numpy.

Called by `tasks.film`. The same phonemes and seed give the same motion at any frame rate: rates only
decide at which times the curves are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.puppet.expression import INDEX
from models.puppet.motion import Style, motion_curves
from models.puppet.phonetics import SILENCE, Phoneme
from models.puppet.visemes import mouth_curves, sample

__all__ = ["Performance", "perform"]

# What parts the lips; mumblers do less of it.
_OPENS = ("jaw_open", "lower_drop", "upper_raise", "lips_funnel")


@dataclass(frozen=True)
class Performance:
    """Frame i is the instant i / rate.

    `poses` are offsets from the pose at rest: rotation about the neck in radians (x tips the face down,
    y turns it to the picture's left, z rolls it clockwise) and what is to be added to the translation, mm.
    """

    rate: float
    expressions: np.ndarray  # (T, controls) float32
    poses: np.ndarray  # (T, 6) float32
    phonemes: tuple[str, ...]  # IPA, `SILENCE` in pauses

    def __len__(self) -> int:
        return len(self.expressions)


def perform(
    phonemes: Sequence[Phoneme],
    duration_s: float,
    *,
    rate: float = 25.0,
    seed: int = 0,
    style: Style | None = None,
    openness: float = 1.0,
) -> Performance:
    """Mouth, head, eyes and brows for `duration_s` of speech; nothing said is a face at rest that lives.

    `openness` says how far this person opens the mouth to speak: lips that must touch do so all the same.
    """
    if not (duration_s > 0 and 0 < rate <= 240):
        raise ValueError(f"a performance of {duration_s} s at {rate} frames a second: both must be positive")
    count = max(1, round(duration_s * float(rate)))
    controls, poses = motion_curves(phonemes, duration_s, seed, style)
    # The smile gives way where the mouth has something to do.
    mouth = mouth_curves(phonemes, duration_s)
    mouth[:, [INDEX[name] for name in _OPENS]] *= openness
    both = np.clip(controls + mouth, -1.0, 1.0)
    return Performance(
        float(rate),
        sample(both, rate, count).astype(np.float32),
        sample(poses, rate, count).astype(np.float32),
        _phoneme_of_frames(phonemes, rate, count),
    )


def _phoneme_of_frames(phonemes: Sequence[Phoneme], rate: float, count: int) -> tuple[str, ...]:
    ordered = sorted(phonemes, key=lambda p: p.start_s)
    starts = np.array([p.start_s for p in ordered])
    times = np.arange(count) / float(rate)
    which = np.searchsorted(starts, times + 1e-9, side="right") - 1
    return tuple(
        ordered[k].symbol if k >= 0 and t < ordered[k].end_s else SILENCE
        for k, t in zip(which.tolist(), times.tolist(), strict=True)
    )
