"""Nothing grows with length: a process that handles six minutes peaks where one that handles one does."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from storage.media import MediaWriter

# Not ru_maxrss: a child begins with the peak of the process that started it.
PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
JOBS = {
    "read": "for frame in VideoReader(source, thread_count=2): pass",
    "hear": "for block in SoundReader(source, 16000).blocks(): pass",
    "normalise": "normalise(source, source + '.out.mp4', preset='ultrafast')",
}
# Six minutes of 160x120 are 518 MB of pixels and 69 MB of samples; the packet tables of MP4 are about 5 MB.
TOLERANCE_KB = 10_000


def film(path: Path, minutes: int) -> Path:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (25, 120, 160, 3), np.uint8)
    hiss = rng.normal(0, 0.05, 48000).astype(np.float32)
    with MediaWriter(path, (160, 120), Fraction(25), 48000, preset="ultrafast", crf=40) as writer:
        for number in range(minutes * 60 * 25):
            if number % 25 == 0:
                writer.write_sound(hiss)
            writer.write_frame(pictures[number % 25])
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("films")
    return film(folder / "short.mp4", 1), film(folder / "long.mp4", 6)


def peak_kb(code: str) -> int:
    text = f"from storage.media import *\n{code}\n{PEAK}"
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    return int(done.stdout.splitlines()[-1])


def test_the_measure_sees_what_is_kept(films):
    """The proof below could not fail if this did."""
    keep = "kept = [block for block in SoundReader(source, 16000).blocks()]"
    short, long = (peak_kb(f"source = {str(path)!r}\n{keep}") for path in films)
    assert long - short > TOLERANCE_KB, (short, long)


@pytest.mark.parametrize("job", JOBS)
def test_the_peak_does_not_grow_with_length(films, job):
    short, long = (peak_kb(f"source = {str(path)!r}\n{JOBS[job]}") for path in films)
    assert long - short < TOLERANCE_KB, (short, long)


def test_writing_does_not_grow_with_length(tmp_path):
    code = """
import numpy as np
from fractions import Fraction
picture, hiss = np.zeros((120, 160, 3), np.uint8), np.zeros(48000, np.float32)
with MediaWriter({path!r}, (160, 120), Fraction(25), 48000, preset="ultrafast") as writer:
    for number in range({minutes} * 60 * 25):
        if number % 25 == 0:
            writer.write_sound(hiss)
        picture[:, number % 160] = number % 255
        writer.write_frame(picture)
"""
    one, six = (peak_kb(code.format(path=str(tmp_path / f"{m}.mp4"), minutes=m)) for m in (1, 6))
    assert six - one < TOLERANCE_KB, (one, six)
