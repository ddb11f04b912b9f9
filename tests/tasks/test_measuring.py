"""Scores with known answers: the truth itself, the truth late, a mouth that stands still, no face at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from storage.media import VideoReader, read_sound
from tasks.measuring import RATE, Score, earlier, held, in_step, write_sound
from tasks.watching import Watched
from tests.helpers.footage import film

FRAMES, EYES = 75, 40.0


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("truth") / "a.mp4", seconds=FRAMES / 25, size=(160, 120))


def gap() -> np.ndarray:
    return np.convolve(np.random.default_rng(0).standard_normal(FRAMES), np.ones(4) / 4, "same")


def seen(gaps: np.ndarray, off: float = 0.0, first: int = 0) -> Watched:
    """Lips in the middle of the picture that are `off` pixels to the right of where they should be."""
    mouths = np.tile([80.0, 60.0, EYES], (len(gaps), 1))
    lips = np.random.default_rng(1).uniform(60, 80, (1, 40, 2)).repeat(len(gaps), 0)
    shut = np.zeros(len(gaps))
    return Watched(gaps, mouths, lips + np.array([off, 0.0]), shut, 25.0, first)


def test_the_truth_is_as_near_as_can_be(truth: Path) -> None:
    found = held(truth, seen(gap()), truth, seen(gap()))
    assert found._replace(opening=round(found.opening, 9)) == Score(
        1.0, 0, 0.0, pytest.approx(138.1, abs=0.1), 1.0
    )


@pytest.mark.parametrize("late", [2, -3])
def test_what_comes_late_is_late(truth: Path, late: int) -> None:
    found = held(truth, seen(np.roll(gap(), late)), truth, seen(gap()))
    assert found.late == late
    assert found.opening < 0.7


def test_a_mouth_that_stands_still_is_neither_late_nor_early(truth: Path) -> None:
    found = held(truth, seen(np.full(FRAMES, 0.1), off=6.0), truth, seen(gap()))
    assert np.isnan(found.opening)
    assert found.late is None
    assert found.lips == pytest.approx(100 * 6 / EYES)


def test_another_picture_is_as_far_as_its_pixels(truth: Path, tmp_path: Path) -> None:
    other = film(tmp_path / "b.mp4", seconds=FRAMES / 25, size=(160, 120), seed=7)
    rows, columns = slice(48, 72), slice(64, 96)
    pairs = zip(VideoReader(other).read(10, 20), VideoReader(truth).read(10, 20), strict=True)
    errors = [((a[rows, columns].astype(float) - b[rows, columns]) ** 2).mean() for a, b in pairs]
    wanted = np.mean(10 * np.log10(255**2 / np.array(errors)))
    part = seen(gap()[10:20], first=10)
    assert held(other, part, truth, part).psnr == pytest.approx(wanted)
    assert wanted < 40, "the films are alike, and this tells nothing"


def test_frames_without_a_face_do_not_count_and_are_told(truth: Path) -> None:
    made, true = seen(gap(), off=2.0), seen(gap())
    made.lips[:15], made.gaps[:15] = np.nan, np.nan
    found = held(truth, made, truth, true)
    assert (found.opening, found.late) == (pytest.approx(1), 0)
    assert found.lips == pytest.approx(100 * 2 / EYES)
    assert found.seen == pytest.approx(1 - 15 / FRAMES)
    for one in (made, true):
        one.lips[:], one.gaps[:], one.mouths[:] = np.nan, np.nan, np.nan
    nobody = held(truth, made, truth, true)
    assert np.isnan([nobody.opening, nobody.lips, nobody.psnr]).all()
    assert (nobody.late, nobody.seen) == (None, 0.0)


@pytest.mark.parametrize("late_s", [0.0, 0.24, -0.2])
def test_a_sound_is_brought_in_step_and_to_length(late_s: float) -> None:
    t = np.arange(3 * RATE) / RATE
    whole = np.sin(2 * np.pi * 3 * t**2).astype(np.float32)
    heard = np.interp(t - late_s, t, whole, left=0, right=0).astype(np.float32)
    found = in_step(heard, late_s, 2.8)
    assert len(found) == 2.8 * RATE
    inner = slice(round(0.3 * RATE), round(2.5 * RATE))
    np.testing.assert_allclose(found[inner], whole[inner], atol=1e-3)
    assert len(in_step(heard, late_s, 3.5)) == 3.5 * RATE


def test_a_wrong_sound_is_the_same_seconds_ago(tmp_path: Path) -> None:
    sound = np.linspace(-0.9, 0.9, 5 * RATE).astype(np.float32)
    moved = earlier(sound, 2)
    np.testing.assert_array_equal(moved[2 * RATE :], sound[: 3 * RATE])
    assert not np.array_equal(earlier(sound[: 2 * RATE], 2), sound[: 2 * RATE]), (
        "a whole turn is the right sound"
    )
    back = read_sound(write_sound(tmp_path / "a.wav", moved), RATE)
    np.testing.assert_allclose(back, moved, atol=1e-4)
