"""An evaluation as data with films of drawn faces: what its page is made of, without evaluating anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.drawn_faces import RATE, beside, face, lips_of, spoken

__all__ = ["evaluated"]

Files = dict[str, bytes | Path]

_FIGURES: tuple[tuple[str, str, str, str, float, float], ...] = (
    ("opening", "opening", "", "more", 0.9, -0.1),
    ("lmd", "lip landmarks", "%", "less", 1.9, 0.7),
    ("psnr", "PSNR", "dB", "more", 29.4, -2.1),
    ("ssim", "SSIM", "", "more", 0.93, -0.04),
    ("offset", "offset", "frames", "none", 0.2, 0.4),
    ("sharpness", "sharpness", "", "near 1", 0.97, -0.12),
)


def evaluated(
    folder: Path,
    *,
    seconds: float = 3,
    methods: Sequence[str] = ("memface", "nearest", "dinet"),
    size: int = 96,
    takes: int = 1,
    driven: bool = False,
) -> tuple[dict[str, Any], Files]:
    """The data of an evaluation, and the files that go with it; each take is shorter than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [_take(folder, at, seconds * 0.8**at, methods, size, driven) for at in range(takes)]
    told = {
        "id": "evaluation-0123456789abcdef0123",
        "identity": "anna",
        "seconds": sum(take["seconds"] for take, _ in made),
        "notes": [note for take, _ in made for note in take["notes"]],
        "split": "driven" if driven else "held_out",
        "figures": [
            {
                "name": n,
                "label": label,
                "unit": unit,
                "better": better,
                "about": f"What {label} is, at length.",
            }
            for n, label, unit, better, _, _ in _FIGURES
        ],
        "methods": {name: {"figures": _scores(at)} for at, name in enumerate(methods)},
        "truth": None
        if driven
        else {"figures": {"offset": {"mean": 0.1, "low": 0.0, "high": 0.2, "count": 9}}},
        "pairs": list(_pairs(methods)),
        "takes": [take for take, _ in made],
        "published": [
            {
                "method": "DINet",
                "figure": "ssim",
                "label": "SSIM",
                "value": 0.9425,
                "source": "Zhang et al. 2023",
                "data": "MEAD",
            },
        ],
    }
    return told, {name: content for _, files in made for name, content in files.items()}


def _take(
    folder: Path, at: int, seconds: float, methods: Sequence[str], size: int, driven: bool
) -> tuple[dict[str, Any], Files]:
    frames, name = round(seconds * RATE), str(at + 1)
    truth = spoken(frames, at)
    lips = {one: lips_of(truth, k, 1 - 0.15 * k, k) for k, one in enumerate(methods)}
    shown = lips if driven else {"truth": truth, **lips}
    films = {one: f"{name}-{one}.mp4" for one in shown}
    files: Files = {
        film: face(folder / film, shown[one].tolist(), size=size, skin=k)
        for k, (one, film) in enumerate(films.items())
    }
    worst = [] if driven else [_worst(name, one, truth, lips[one]) for one in methods]
    for case, picture in worst:
        files[case["picture"]] = picture
    return {
        "name": name,
        "clip": f"clip-71579ce1f71fa5ad260{at}",
        "sound": ("french.wav", "german.wav")[at % 2] if driven else None,
        "frames": [100, 100 + frames],
        "seconds": frames / RATE,
        "rate": RATE,
        "why": "its last seconds, which training held back to judge by",
        "notes": ["nearest: its memory holds mouths of these seconds too, 57 of 300"],
        "methods": {one: _dubbed(k, films[one], driven) for k, one in enumerate(methods)},
        "truth": None if driven else {"film": films["truth"]},
        "curves": {"rate": RATE, **_curves(shown), "loudness": (20 * np.log10(truth + 1e-3)).tolist()},
        "worst": [case for case, _ in worst],
    }, files


def _dubbed(at: int, film: str, driven: bool) -> dict[str, Any]:
    return {
        "dub": f"dub-{at:020x}",
        "dub_wrong_sound": None if driven else f"dub-{at + 99:020x}",
        "film": film,
    }


def _curves(shown: dict[str, np.ndarray]) -> dict[str, list[float | None]]:
    """With gaps: not every frame has a face."""
    return {
        one: [None if one == "truth" and k % 40 == 39 else float(value) for k, value in enumerate(values)]
        for one, values in shown.items()
    }


def _worst(take: str, method: str, truth: np.ndarray, lips: np.ndarray) -> tuple[dict[str, Any], bytes]:
    frame = int(np.argmax(np.abs(lips - truth)))
    told = {"method": method, "frame": frame, "figure": "lmd", "value": float(abs(lips - truth)[frame] * 100)}
    picture = f"{take}-worst-{method}-{frame}.jpg"
    return {**told, "picture": picture}, beside((truth[frame], lips[frame]), frame)


def _scores(at: int) -> dict[str, Any]:
    """A method's figures: the later the worse."""
    figures = {
        n: {"mean": base + at * step, "low": base + at * step - 0.04 * abs(base), "count": 60}
        for n, _, _, _, base, step in _FIGURES
    }
    for n, _, _, _, base, _ in _FIGURES:
        figures[n]["high"] = figures[n]["mean"] + 0.03 * abs(base)
    if at == 2:
        figures["ssim"] = {"mean": None, "low": None, "high": None, "count": 0}
    return figures


def _pairs(methods: Sequence[str]) -> Sequence[dict[str, Any]]:
    made = []
    for i, a in enumerate(methods):
        for j, b in list(enumerate(methods))[i + 1 :]:
            for k, (n, _, _, _, base, step) in enumerate(_FIGURES):
                gap, spare = (i - j) * step, 0.05 * abs(base)
                p = 0.0004 if k < 3 else 0.02 if k == 3 else 0.4
                made.append(
                    {
                        "figure": n,
                        "a": a,
                        "b": b,
                        "difference": gap,
                        "low": gap - spare,
                        "high": gap + spare,
                        "p": p,
                        "least": 0.0002,
                    }
                )
    return made
