"""A made film against the true one, frame by frame: every figure that is told of it.

    frames = figures_of(dub, watch(dub), truth, watch(truth), speaks)      # {"psnr": (n,), ...}

Called by `tasks.evaluating`. Shape legend: n frames that were watched.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.judging.crops import FACE, MOUTH, judged
from tasks.judging.lips import jitter, leakage, lmd, lmd_centred, opening, twenty
from tasks.judging.manners import blink_length, blink_rate
from tasks.judging.pictures import crop_likeness, psnr, sharpness, ssim
from tasks.watching import Watched

__all__ = ["figures_of", "own_figures"]

F64 = NDArray[np.float64]

_OF_MOUTHS = {"psnr": psnr, "ssim": ssim, "sharpness": sharpness}
_OF_FACES = {"crop_likeness": crop_likeness}


def figures_of(
    video: Path, made: Watched, truth: Path, true: Watched, speaks: NDArray[np.bool_]
) -> dict[str, F64]:
    """By name (n,), of the frames that were watched of the truth; NaN where one cannot tell."""
    made, scale = _as_long(made, len(true.gaps)), true.mouths[:, 2]
    lips = twenty(made.lips), twenty(true.lips)
    return {
        "opening": opening(made.gaps, true.gaps),
        "lmd": lmd(*lips, scale),
        "lmd_centred": lmd_centred(*lips, scale),
        **judged(video, truth, true, MOUTH, _OF_MOUTHS),
        **judged(video, truth, true, FACE, _OF_FACES),
        "jitter": jitter(*lips, scale, true.rate),
        **own_figures(made, speaks),
        "seen": (np.isfinite(made.gaps) & np.isfinite(true.gaps)).astype(np.float64),
    }


def own_figures(seen: Watched, speaks: NDArray[np.bool_]) -> dict[str, F64]:
    """Those that the truth has, too: what they are to be is what it does."""
    return {
        "leakage": leakage(seen.gaps, speaks, seen.rate),
        "blink_rate": blink_rate(seen.shut, seen.rate),
        "blink_length": blink_length(seen.shut, seen.rate),
    }


def _as_long(made: Watched, count: int) -> Watched:
    """So many frames: what is missing at the end is not known."""

    def fitted(values: F64) -> F64:
        lacks = max(count - len(values), 0)
        rest = np.full((lacks, *values.shape[1:]), np.nan)
        return np.concatenate([values[:count], rest])

    gaps, mouths, lips, shut = (fitted(part) for part in (made.gaps, made.mouths, made.lips, made.shut))
    return made._replace(gaps=gaps, mouths=mouths, lips=lips, shut=shut)
