"""An evaluation as data with films of drawn faces: what its page is made of, without evaluating anything."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from storage.media import MediaWriter

__all__ = ["RATE", "evaluated", "face", "lips_of", "spoken"]

RATE, SOUND = 25, 16_000
_SKINS = ((214, 178, 150), (205, 186, 168), (196, 170, 158), (222, 190, 170))
_FIGURES: tuple[tuple[str, str, str, str, float, float], ...] = (
    ("opening", "opening", "", "more", 0.9, -0.1),
    ("lmd", "lip landmarks", "%", "less", 1.9, 0.7),
    ("psnr", "PSNR", "dB", "more", 29.4, -2.1),
    ("ssim", "SSIM", "", "more", 0.93, -0.04),
    ("offset", "offset", "frames", "none", 0.2, 0.4),
    ("sharpness", "sharpness", "", "near 1", 0.97, -0.12),
)


def spoken(frames: int, seed: int = 0) -> np.ndarray:
    """How far lips are open (frames,): syllables with pauses between."""
    at = np.arange(frames) / RATE
    rng = np.random.default_rng(seed)
    talks = (np.sin(2 * np.pi * at / 3.1 + 0.4) > -0.55).astype(float)
    wave = np.abs(np.sin(2 * np.pi * 2.1 * at)) * (0.6 + 0.4 * np.sin(1.7 * at))
    return np.asarray(0.03 + 0.26 * talks * wave + 0.008 * rng.random(frames))


def lips_of(truth: np.ndarray, late: int, share: float, seed: int) -> np.ndarray:
    """What a method makes of it: later, smaller, less sure."""
    noise = np.random.default_rng(seed).normal(0, 0.012, len(truth))
    return np.clip(share * np.roll(truth, late) + noise, 0.01, None)


def face(path: Path, lips: Sequence[float], *, size: int = 96, skin: int = 0) -> Path:
    """A film of a drawn face whose lips do this, humming as far as they are open."""
    at = np.arange(round(len(lips) / RATE * SOUND)) / SOUND
    loud = np.interp(at, np.arange(len(lips)) / RATE, lips)
    sound = (loud * np.sin(2 * np.pi * (150 + 20 * skin) * at)).astype(np.float32)
    with MediaWriter(path, (size, size), Fraction(RATE), SOUND, crf=26, preset="ultrafast") as out:
        out.write_sound(sound)
        for number, gap in enumerate(lips):
            out.write_frame(_drawn(size, float(gap), _SKINS[skin % len(_SKINS)], number))
    return path


def _drawn(size: int, gap: float, skin: tuple[int, int, int], number: int) -> np.ndarray:
    picture = np.full((size, size, 3), (52, 66, 84), np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * size + 0.01 * size * np.sin(number / 19)), round(y * size)

    def long(x: float, y: float) -> tuple[int, int]:
        return max(1, round(x * size)), max(1, round(y * size))

    cv2.ellipse(picture, at(0.5, 0.5), long(0.3, 0.4), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for x in (0.39, 0.61):
        cv2.ellipse(picture, at(x, 0.4), long(0.05, 0.03), 0, 0, 360, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(picture, at(x, 0.4), long(0.02, 0)[0], (40, 40, 40), -1, cv2.LINE_AA)
    cv2.ellipse(
        picture, at(0.5, 0.68), long(0.12, 0.03 + 0.25 * gap), 0, 0, 360, (150, 62, 66), -1, cv2.LINE_AA
    )
    cv2.ellipse(picture, at(0.5, 0.68), long(0.09, 0.25 * gap), 0, 0, 360, (60, 18, 24), -1, cv2.LINE_AA)
    return picture


def evaluated(
    folder: Path,
    *,
    seconds: float = 3,
    methods: Sequence[str] = ("memface", "nearest", "dinet"),
    size: int = 96,
) -> tuple[dict[str, Any], dict[str, bytes | Path]]:
    """The data of an evaluation, and the files that go with it."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = round(seconds * RATE)
    truth = spoken(frames)
    lips = {name: lips_of(truth, at, 1 - 0.15 * at, at) for at, name in enumerate(methods)}
    files: dict[str, bytes | Path] = {"truth.mp4": face(folder / "truth.mp4", truth.tolist(), size=size)}
    for at, name in enumerate(methods):
        files[f"{name}.mp4"] = face(folder / f"{name}.mp4", lips[name].tolist(), size=size, skin=at + 1)
    worst = []
    for name in methods:
        frame = int(np.argmax(np.abs(lips[name] - truth)))
        picture = f"worst-{name}-{frame}.jpg"
        drawn = [
            _drawn(160, float(values[frame]), _SKINS[k], frame)
            for k, values in enumerate((truth, lips[name]))
        ]
        files[picture] = cv2.imencode(".jpg", np.hstack(drawn)[..., ::-1])[1].tobytes()
        value = float(abs(lips[name] - truth)[frame] * 100)
        worst.append({"method": name, "frame": frame, "figure": "lmd", "value": value, "picture": picture})
    told = {
        "id": "evaluation-0123456789abcdef0123",
        "identity": "anna",
        "clip": "clip-71579ce1f71fa5ad2603",
        "seconds": seconds,
        "rate": RATE,
        "why": "its last seconds, which training held back to judge by",
        "notes": ["nearest: its memory holds mouths of these seconds too, 57 of 300"],
        "split": "held_out",
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
        "methods": {name: _method(name, at) for at, name in enumerate(methods)},
        "truth": {"film": "truth.mp4"},
        "pairs": list(_pairs(methods)),
        "curves": {
            "rate": RATE,
            "truth": [None if k % 40 == 39 else float(v) for k, v in enumerate(truth)],
            **{name: values.tolist() for name, values in lips.items()},
            "loudness": (20 * np.log10(truth + 1e-3)).tolist(),
        },
        "worst": worst,
        "published": [
            {
                "method": "DINet",
                "figure": "ssim",
                "value": 0.9425,
                "source": "Zhang et al. 2023",
                "data": "MEAD",
            },
        ],
    }
    return told, files


def _method(name: str, at: int) -> dict[str, Any]:
    figures = {
        n: {"mean": base + at * step, "low": base + at * step - 0.04 * abs(base), "count": 60}
        for n, _, _, _, base, step in _FIGURES
    }
    for n, _, _, _, base, _ in _FIGURES:
        figures[n]["high"] = figures[n]["mean"] + 0.03 * abs(base)
    if at == 2:
        figures["ssim"] = {"mean": None, "low": None, "high": None, "count": 0}
    return {"dub": f"dub-{at:020x}", "figures": figures, "film": f"{name}.mp4"}


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
                    }
                )
    return made
