"""Media figures: sound against picture after ten minutes, decoding, and what a cut into chunks costs.

python -m tests.bench.media
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from storage.media import MediaWriter, VideoReader, normalise
from tests.storage.media.test_sync import film, seen_and_heard

RATES = (
    (Fraction(25), 48000),
    (Fraction(30000, 1001), 44100),
    (Fraction(24000, 1001), 48000),
    (Fraction(30), 16000),
)


def in_step(folder: Path) -> None:
    print("Sound against picture over ten minutes, by PyAV and the container's own timestamps:")
    for rate, sound_rate in RATES:
        path = folder / "long.mp4"
        film(path, 600, rate, sound_rate)
        seen, heard = seen_and_heard(path)
        apart = np.abs(seen - heard)
        print(
            f"  {float(rate):.3f} fps, {sound_rate} Hz: worst {apart.max() * 1000:.2f} ms, "
            f"last {apart[-1] * 1000:.2f} ms (half a frame is {500 / float(rate):.1f} ms)"
        )


def sample(path: Path, frames: int = 500) -> Path:
    """Pictures with texture that moves, 512x512."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (64, 64, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    with MediaWriter(path, (512, 512), Fraction(25), None) as writer:
        for i in range(frames):
            writer.write_frame(
                np.ascontiguousarray(texture[i % 200 : i % 200 + 512, i % 300 : i % 300 + 512])
            )
    return path


def bare(path: Path) -> int:
    with av.open(str(path)) as source:
        source.streams.video[0].thread_count = 1
        return sum(frame.to_ndarray(format="rgb24").shape[0] == 512 for frame in source.decode(video=0))


def ours(path: Path, chunks: int = 1) -> int:
    reader = VideoReader(path, thread_count=1)
    edges = np.linspace(0, len(reader), chunks + 1).astype(int)
    return sum(sum(1 for _ in reader.read(int(a), int(b))) for a, b in itertools.pairwise(edges))


def speed(folder: Path) -> None:
    path = sample(folder / "sample.mp4")
    print("Decoding 512x512 H.264 to RGB, one thread:")
    plain = rate_of(lambda: bare(path))
    for name, work in (
        ("read straight through", lambda: ours(path)),
        ("read in 10 chunks", lambda: ours(path, 10)),
    ):
        got = rate_of(work)
        print(f"  {name}: {got:.0f} frames a second, {got / plain:.2f} of a bare PyAV loop ({plain:.0f})")
    begun = time.perf_counter()
    done = normalise(path, folder / "normal.mp4")
    print(
        f"  made into a clip: {done.frames / (time.perf_counter() - begun):.0f} frames a second, both cores"
    )


def rate_of(work: Callable[[], int]) -> float:
    """Frames a second, the better of two."""
    best = 0.0
    for _ in range(2):
        begun = time.perf_counter()
        best = max(best, work() / (time.perf_counter() - begun))
    return best


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_step(Path(folder))
        speed(Path(folder))


if __name__ == "__main__":
    main()
