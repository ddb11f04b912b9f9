"""Small real videos, made on the spot: pictures that move and a tone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

__all__ = ["film", "keep_consent"]

RECORD = """subject = "Test"
scope = {scope}
given_by = "Test"
given_on = 2020-01-01
expires = {expires}
purpose = "tests"
"""


def film(
    path: Path,
    *,
    seconds: float = 1.5,
    size: tuple[int, int] = (96, 96),
    rate: int = 25,
    sound: bool = True,
    seed: int = 0,
) -> Path:
    """A moving gradient, with a tone unless silent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=Fraction(rate), options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = out.add_stream("aac", rate=16000, layout="mono") if sound else None
        x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
        for i in range(round(seconds * rate)):
            picture = np.stack([x * 2 + i * 5, y * 2 + seed * 40, x + y], axis=-1).astype(np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode())
        if audio is not None:
            times = np.arange(round(seconds * 16000)) / 16000
            tone = (0.2 * np.sin(2 * np.pi * (200 + 50 * seed) * times)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.sample_rate = 16000
            out.mux(audio.encode(frame))
            out.mux(audio.encode())
    return path


def keep_consent(
    home: Path, identity: str = "anna", scope: str = '["ingest"]', expires: str = "2999-01-01"
) -> None:
    path = home / "identities" / identity / "consent.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RECORD.format(scope=scope, expires=expires))
