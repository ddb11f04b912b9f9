"""Pieces of film become one, bit for bit, with sound in step."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from storage.errors import MediaError
from storage.media import MediaWriter, VideoReader, probe, read_sound
from storage.media.joining import MediaJoiner

SIZE = (96, 64)


def pictures(count: int) -> list[np.ndarray]:
    base = np.add.outer(np.arange(SIZE[1]), np.arange(SIZE[0]))[..., None]
    return [(base + np.array([3, 5, 7]) * i).astype(np.uint8) for i in range(count)]


def pieces(folder: Path, cuts: list[int], rate: Fraction, crf: int) -> list[Path]:
    made, frames = [], pictures(cuts[-1])
    for start, stop in itertools.pairwise(cuts):
        made.append(folder / f"{start:04}.mp4")
        with MediaWriter(made[-1], SIZE, rate, crf=crf) as film:
            for picture in frames[start:stop]:
                film.write_frame(picture)
    return made


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(24000, 1001)])
@pytest.mark.parametrize("crf", [0, 16])
def test_no_picture_changes_or_moves(tmp_path: Path, rate: Fraction, crf: int) -> None:
    # Pieces of one and two frames have no pictures that are shown later than they are coded.
    parts = pieces(tmp_path, [0, 1, 3, 33, 60, 61], rate, crf)
    tone = 0.2 * np.sin(np.arange(44_100 * 4) / 20).astype(np.float32)
    with MediaJoiner(tmp_path / "whole.mp4", parts[0], SIZE, rate, 44_100) as film:
        film.write_sound(tone)
        for part in parts:
            film.write_piece(part)
    found = probe(tmp_path / "whole.mp4")
    assert found.video is not None
    assert found.audio is not None
    assert (found.video.frames, found.video.slots, found.video.rate) == (61, 61, rate)
    assert not found.video.variable
    assert found.video.start_s == found.audio.start_s == 0
    assert found.audio.duration_s == pytest.approx(61 / rate, abs=0.001)
    assert found.defects == ()
    got = list(VideoReader(tmp_path / "whole.mp4"))
    wanted = [picture for part in parts for picture in VideoReader(part)]
    assert all((a == b).all() for a, b in zip(got, wanted, strict=True))
    heard = read_sound(tmp_path / "whole.mp4")
    assert np.abs(heard[2000:40_000] - tone[2000:40_000]).max() < 0.02


def test_sound_that_ends_early_goes_on_as_silence(tmp_path: Path) -> None:
    parts = pieces(tmp_path, [0, 50], Fraction(25), 16)
    with MediaJoiner(tmp_path / "whole.mp4", parts[0], SIZE, Fraction(25), 16_000, 2) as film:
        film.write_sound(np.full((16_000, 2), 0.1, np.float32))
        film.write_piece(parts[0])
    heard = read_sound(tmp_path / "whole.mp4")
    assert len(heard) == 32_000
    assert np.abs(heard[20_000:]).max() < 0.01


def join(target: Path, parts: list[Path]) -> None:
    with MediaJoiner(target, parts[0], SIZE, Fraction(25)) as film:
        for part in parts:
            film.write_piece(part)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    parts = pieces(tmp_path, [0, 5], Fraction(25), 16)
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        join(tmp_path / "out" / "whole.mp4", [*parts, tmp_path / "bad.mp4"])
    assert list((tmp_path / "out").iterdir()) == []
