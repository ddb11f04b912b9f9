"""A made film against the true one, or by itself, frame by frame: every figure that is told of it.

    frames = figures_of(dub, watch(dub), truth, watch(truth), speaks)      # {"psnr": (n,), ...}
    frames = driven_figures(watch(dub), speaks)                            # where there is no truth

Called by `tasks.judged`. Shape legend: n frames that were watched.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.judging.crops import FACE, MOUTH, judged
from tasks.judging.judges import Judges
from tasks.judging.lips import jitter, leakage, leakage_share, lmd, lmd_centred, opening, shake, twenty
from tasks.judging.manners import blink_length, blink_rate, pose_speed, pose_spread
from tasks.judging.pictures import crop_likeness, psnr, sharpness, ssim
from tasks.watching import Watched

__all__ = ["driven_figures", "figures_of", "own_figures"]

F64 = NDArray[np.float64]

_OF_MOUTHS = {"psnr": psnr, "ssim": ssim, "sharpness": sharpness}
_OF_FACES = {"crop_likeness": crop_likeness}
_NONE = Judges()


def figures_of(
    video: Path,
    made: Watched,
    truth: Path,
    true: Watched,
    speaks: NDArray[np.bool_],
    judges: Judges = _NONE,
) -> dict[str, F64]:
    """By name (n,), of the frames that were watched of the truth; NaN where one cannot tell."""
    made, scale = _as_long(made, len(true.gaps)), true.mouths[:, 2]
    lips = twenty(made.lips), twenty(true.lips)
    return {
        "opening": opening(made.gaps, true.gaps),
        "lmd": lmd(*lips, scale),
        "lmd_centred": lmd_centred(*lips, scale),
        **judged(video, truth, true, MOUTH, _OF_MOUTHS | judges.of_mouths()),
        **judged(video, truth, true, FACE, _OF_FACES),
        **judges.of_people(video, made, truth, true),
        "jitter": jitter(*lips, scale, true.rate),
        **own_figures(made, speaks),
        "seen": (np.isfinite(made.gaps) & np.isfinite(true.gaps)).astype(np.float64),
    }


def own_figures(seen: Watched, speaks: NDArray[np.bool_]) -> dict[str, F64]:
    """Those that the truth has, too: what they are to be is what it does."""
    turn = _as_long(seen, len(seen.gaps)).turn
    return {
        "leakage": leakage(seen.gaps, speaks, seen.rate),
        "leakage_share": leakage_share(seen.gaps, speaks, seen.rate),
        "blink_rate": blink_rate(seen.shut, seen.rate),
        "blink_length": blink_length(seen.shut, seen.rate),
        "pose_spread": pose_spread(turn),
        "pose_speed": pose_speed(turn, seen.rate),
    }


def driven_figures(seen: Watched, speaks: NDArray[np.bool_]) -> dict[str, F64]:
    """Of a film that says what nobody is filmed saying: by name (n,), of as many frames as `speaks` has.

    The same of a film of the person, with its own speech, is what they are to be like.
    """
    seen = _as_long(seen, len(speaks))
    return {
        **own_figures(seen, speaks),
        "shake": shake(twenty(seen.lips), seen.mouths[:, 2], seen.rate),
        "seen": np.isfinite(seen.gaps).astype(np.float64),
    }


def _as_long(made: Watched, count: int) -> Watched:
    """So many frames: what is missing at the end is not known."""

    def fitted(values: F64) -> F64:
        lacks = max(count - len(values), 0)
        rest = np.full((lacks, *values.shape[1:]), np.nan)
        return np.concatenate([values[:count], rest])

    return made._replace(
        gaps=fitted(made.gaps),
        mouths=fitted(made.mouths),
        lips=fitted(made.lips),
        shut=fitted(made.shut),
        turn=fitted(made.turn),
        marks=fitted(made.marks),
    )
