"""A stranger's look at a video agrees with what is true of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.film import Script, film
from tasks.watching import best_shift, correlation, mouth_sheet, watch


def test_lips_that_are_seen_follow_those_that_are_true(tmp_path: Path) -> None:
    script = Script(seed=4, size=192, text="Peter bought five blue balls and a map of Peru.", supersample=1)
    made = film(script, tmp_path / "a.mp4")
    truth = pq.read_table(made.truth)["lip_gap"].to_numpy()
    seen = watch(made.video)
    assert len(seen.gaps) == len(truth)
    assert seen.rate == 25
    assert correlation(seen.gaps, truth) > 0.93
    assert best_shift(seen.gaps, truth) == 0
    sheet = cv2.imdecode(np.frombuffer(mouth_sheet([(made.video, seen)] * 2, 5), np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (240, 600, 3)
    # Lips are redder than the skin around them.
    tile = sheet[:120, :120].astype(float)
    redness = tile[..., 2] / (tile[..., 1] + 1)
    assert redness[50:70, 40:80].mean() > redness[:20, 40:80].mean()


@pytest.mark.parametrize("shift", [-4, 0, 3])
def test_a_shift_is_found(shift: int) -> None:
    curve = np.convolve(np.random.default_rng(0).standard_normal(200), np.ones(4), "same")
    assert best_shift(np.roll(curve, shift), curve) == shift


def test_what_stands_still_is_like_nothing() -> None:
    assert np.isnan(correlation(np.zeros(9), np.arange(9.0)))
    assert np.isnan(correlation(np.full(9, np.nan), np.arange(9.0)))
    gone = np.r_[np.arange(8.0), np.nan]
    assert correlation(gone, 2 * np.arange(9.0)) == pytest.approx(1)
