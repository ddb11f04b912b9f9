"""Crops of two films are of the same place, frame for frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from storage.media import VideoReader
from tasks.judging.crops import FACE, MOUTH, Box, corners, judged
from tasks.judging.figures import psnr, ssim
from tasks.watching import Watched
from tests.helpers.footage import film

FRAMES, WIDTH, HEIGHT, EYES = 50, 160, 120, 40.0


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("truth") / "a.mp4", seconds=FRAMES / 25, size=(WIDTH, HEIGHT))


def watched(count: int = FRAMES, first: int = 0) -> Watched:
    """A face that goes to the right, and is not seen in the fourth frame."""
    mouths = np.column_stack([60.0 + np.arange(count), np.full(count, 70.0), np.full(count, EYES)])
    mouths[3] = np.nan
    return Watched(np.zeros(count), mouths, np.zeros((count, 40, 2)), np.zeros(count), 25.0, first)


def test_a_crop_is_where_the_true_mouth_is(truth: Path) -> None:
    kept: list[np.ndarray] = []

    def keep(made: np.ndarray, true: np.ndarray) -> np.ndarray:
        np.testing.assert_array_equal(made, true)
        kept.extend(true)
        return np.arange(len(made), dtype=float)

    found = judged(truth, truth, watched(40, first=10), MOUTH, {"k": keep})["k"]
    pictures = list(VideoReader(truth).read(10, 50))
    assert len(kept) == 40
    for k in (0, 1, 31, 32, 39):
        x, y = round(60 + k - 16), 70 - 12
        np.testing.assert_array_equal(kept[k], pictures[k][y : y + 24, x : x + 32])
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]


def test_the_truth_is_as_good_as_can_be_and_another_film_is_not(truth: Path, tmp_path: Path) -> None:
    other = film(tmp_path / "b.mp4", seconds=FRAMES / 25, size=(WIDTH, HEIGHT), seed=7)
    figures = {"psnr": psnr, "ssim": ssim}
    best, worse = (judged(path, truth, watched(), MOUTH, figures) for path in (truth, other))
    assert set(best) == set(figures)
    assert np.nanmin(best["psnr"]) == 100
    assert np.nanmax(worse["psnr"]) < 40
    assert np.nanmax(worse["ssim"]) < np.nanmin(best["ssim"])
    at, (high, wide) = corners(watched(), MOUTH, WIDTH, HEIGHT)
    x, y = at[20]
    one, two = (next(VideoReader(path).read(20, 21))[y : y + high, x : x + wide] for path in (other, truth))
    assert worse["psnr"][20] == psnr(one[None], two[None])[0]


def test_a_film_that_ends_early_is_told_as_far_as_it_goes(truth: Path, tmp_path: Path) -> None:
    short = film(tmp_path / "short.mp4", seconds=36 / 25, size=(WIDTH, HEIGHT))
    found = judged(short, truth, watched(30, first=20), MOUTH, {"psnr": psnr})["psnr"]
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, *range(16, 30)]
    assert np.isnan(judged(short, truth, watched(5, first=40), MOUTH, {"psnr": psnr})["psnr"]).all()


def test_a_film_of_another_size_is_brought_to_the_truths(truth: Path, tmp_path: Path) -> None:
    large = film(tmp_path / "large.mp4", seconds=FRAMES / 25, size=(2 * WIDTH, 2 * HEIGHT))
    assert judged(large, truth, watched(), FACE, {"psnr": psnr})["psnr"].shape == (FRAMES,)


def test_crops_stay_inside_the_picture_and_keep_their_size() -> None:
    seen = watched()
    seen.mouths[0, :2], seen.mouths[1, :2] = (2, 2), (158, 119)
    at, (high, wide) = corners(seen, FACE, WIDTH, HEIGHT)
    assert (high, wide) == (80, 64)
    assert (at >= 0).all()
    assert (at + np.array([wide, high]) <= [WIDTH, HEIGHT]).all()
    assert at[10].tolist() == [70 - 32, 70 - 16 - 40]
    assert corners(seen, Box(9, 9, 0), WIDTH, HEIGHT)[1] == (HEIGHT, WIDTH)


def test_a_film_without_a_face_tells_nothing(truth: Path) -> None:
    nobody = watched()
    nobody.mouths[:] = np.nan
    assert np.isnan(judged(truth, truth, nobody, MOUTH, {"psnr": psnr})["psnr"]).all()
