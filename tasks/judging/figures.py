"""The figures by which films are judged: each as a function, and what it is called wherever it is shown.

    [one._asdict() for one in FIGURES]        # as a page or a table has them
    named("psnr").better                      # more

Functions take arrays of frames and give (n,) of them, NaN where it cannot be told: means come later, with
`tasks.judging.intervals`. Figures that others measure (steps of lips and sound, seconds, memory) are named
here too: all that is told of a film stands in one list. Called by `tasks.judged` and by pages.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from tasks.judging.lips import (
    jitter,
    leakage,
    leakage_share,
    lmd,
    lmd_centred,
    opening,
    opening_by_window,
    shake,
    twenty,
)
from tasks.judging.manners import blink_length, blink_rate, pose_speed, pose_spread
from tasks.judging.pictures import crop_likeness, psnr, sharpness, ssim

__all__ = [
    "FIGURES",
    "Figure",
    "blink_length",
    "blink_rate",
    "crop_likeness",
    "jitter",
    "leakage",
    "leakage_share",
    "lmd",
    "lmd_centred",
    "named",
    "opening",
    "opening_by_window",
    "pose_speed",
    "pose_spread",
    "possible",
    "psnr",
    "shake",
    "sharpness",
    "ssim",
    "twenty",
]


class Figure(NamedTuple):
    """What a figure is called, and how it is to be read."""

    name: str
    label: str
    unit: str  # empty where it has none
    better: Literal["more", "less", "near 1", "none"]
    about: str


_OWN = "What the person does in the true film is what is right."

FIGURES = (
    Figure("psnr", "PSNR", "dB", "more", "Of crops of the mouth against the true ones; 100 if identical."),
    Figure("ssim", "SSIM", "", "more", "Structural similarity of the same crops, 1 if identical."),
    Figure("lmd", "LMD", "% of eyes", "less", "Mean distance of lip landmarks from the true ones."),
    Figure(
        "lmd_centred", "LMD, centred", "% of eyes", "less", "Of mouths that lie over each other: their shape."
    ),
    Figure("opening", "Lip opening", "r", "more", "How far lips are open: correlation with the true film's."),
    Figure(
        "opening_by_window", "Lip opening, windows", "r", "more", "The same of short windows, each by itself."
    ),
    Figure(
        "opening_wrong_sound",
        "Lip opening, wrong sound",
        "r",
        "none",
        "Dubbed with a wrong sound: if it is as high as with the right one, lips follow something else.",
    ),
    Figure("leakage", "Motion in silence", "% of eyes / s", "none", f"Lips while nobody speaks. {_OWN}"),
    Figure(
        "leakage_share",
        "Motion in silence, of speech's",
        "",
        "less",
        "Lips while nobody speaks over the same lips in speech: 1 where they do not know one from the other.",
    ),
    Figure("jitter", "Jitter", "of truth", "near 1", "Second differences of lips over the true ones'."),
    Figure("sharpness", "Sharpness", "of truth", "near 1", "The energy of its edges over the true mouth's."),
    Figure(
        "crop_likeness",
        "Crop likeness",
        "",
        "more",
        "How alike the face's colours are, cell by cell. Statistics of crops: this recognises nobody.",
    ),
    Figure("shake", "Shaking", "% of eyes / s²", "none", f"Second differences of lips. {_OWN}"),
    Figure("blink_rate", "Blinks", "a minute", "none", _OWN),
    Figure("blink_length", "Length of blinks", "s", "none", _OWN),
    Figure("pose_spread", "Head, spread", "degrees", "none", f"From its mean. {_OWN}"),
    Figure("pose_speed", "Head, speed", "degrees / s", "none", _OWN),
    Figure("sync_c", "Sync, confidence", "", "more", "By this project's expert; not anybody's LSE-C."),
    Figure("sync_d", "Sync, distance", "", "less", "By this project's expert; not anybody's LSE-D."),
    Figure("offset", "Sound late", "frames", "none", "By this project's expert; 0 is in step."),
    Figure("lse_c", "LSE-C", "", "more", "By the public SyncNet, whose weights the user has."),
    Figure("lse_d", "LSE-D", "", "less", "By the public SyncNet, whose weights the user has."),
    Figure("lpips", "LPIPS", "", "less", "Of the mouth's crops, by the public weights, which the user has."),
    Figure(
        "identity",
        "Identity, by the user's network",
        "",
        "more",
        "Cosine of the made face and the true one, by a face embedding that the user has.",
    ),
    Figure("seen", "Face found", "of frames", "more", "Frames with a face in both films: no others count."),
    Figure("seconds", "Time", "s / s", "less", "Seconds of work for a second of film, on this machine."),
    Figure(
        "memory",
        "Memory",
        "MiB",
        "less",
        "At most, of the whole process that dubs: methods before it may have left something.",
    ),
)


# Where a figure can lie; of others it is only known that they are not below 0.
_LIKENESS, _ANYWHERE = (-1.0, 1.0), (-math.inf, math.inf)
_RANGES = {
    "psnr": (0.0, 100.0),
    "ssim": _LIKENESS,
    "opening": _LIKENESS,
    "opening_by_window": _LIKENESS,
    "opening_wrong_sound": _LIKENESS,
    "crop_likeness": (0.0, 1.0),
    "identity": _LIKENESS,
    "seen": (0.0, 1.0),
    "offset": _ANYWHERE,
}


def possible(name: str, value: float) -> float:
    """The nearest value that the figure can have: bounds that few seconds give reach beyond. NaN stays."""
    least, most = _RANGES.get(name, (0.0, math.inf))
    return value if math.isnan(value) else min(max(value, least), most)


def named(name: str) -> Figure:
    """The figure of this name."""
    return next(one for one in FIGURES if one.name == name)
