"""What is told of films that were watched: against the truth, and where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.judging.figures import FIGURES
from tasks.judging.films import driven_figures, figures_of, own_figures
from tasks.watching import Watched
from tests.helpers.footage import film

FRAMES, RATE, EYES = 75, 25.0, 40.0


def watched(count: int = FRAMES, trembling: float = 0.0) -> Watched:
    """Somebody who speaks in the first second, blinks once, and turns the head by 30 degrees a second."""
    t = np.arange(count) / RATE
    gaps = 0.1 + np.where(t < 1, 0.05 * np.sin(2 * np.pi * 3 * t), 0)
    lips = np.tile([80.0, 60.0], (count, 40, 1))
    lips[..., 1] += trembling * (-1.0) ** np.arange(count)[:, None]
    shut = np.zeros(count)
    shut[40:44] = 1
    turn = np.column_stack([np.zeros(count), 30 * t, np.zeros(count)])
    mouths = np.tile([80.0, 60.0, EYES], (count, 1))
    return Watched(gaps, mouths, lips, shut, RATE, 0, turn, np.zeros((count, 5, 2)))


def speaks(count: int = FRAMES) -> np.ndarray:
    return np.arange(count) < RATE


def means(frames: dict[str, np.ndarray]) -> dict[str, float]:
    known = {name: values[np.isfinite(values)] for name, values in frames.items()}
    return {name: float(values.mean()) for name, values in known.items() if len(values)}


def test_a_film_without_a_truth_is_told_by_itself() -> None:
    found = means(driven_figures(watched(), speaks()))
    assert found["leakage"] == pytest.approx(0, abs=1e-9)
    assert found["shake"] == 0
    assert found["blink_rate"] == pytest.approx(60 / (FRAMES / RATE))
    assert found["blink_length"] == pytest.approx(4 / RATE)
    assert found["pose_speed"] == pytest.approx(30)
    assert found["pose_spread"] == pytest.approx(30 * FRAMES / RATE / 4, rel=0.02)
    assert found["seen"] == 1
    assert set(found) <= {one.name for one in FIGURES}
    moving = means(driven_figures(watched(), ~speaks()))
    assert moving["leakage"] > 20
    said = [means(driven_figures(watched(trembling=size), speaks()))["shake"] for size in (0.1, 0.4)]
    assert said == pytest.approx([100 * 4 * size / EYES * RATE**2 for size in (0.1, 0.4)])


def test_a_driven_film_that_ends_early_is_told_as_far_as_it_goes() -> None:
    for count in (60, 90):
        found = driven_figures(watched(count), speaks())
        assert {len(values) for values in found.values()} == {FRAMES}
        assert found["seen"].sum() == min(count, FRAMES)
    assert np.isnan(driven_figures(watched(60), speaks())["pose_spread"][60:]).all()


def test_what_was_not_looked_for_is_not_told() -> None:
    bare = Watched(*watched()[:5])
    found = own_figures(bare, speaks())
    assert np.isnan(found["pose_spread"]).all()
    assert len(found["pose_speed"]) == FRAMES
    assert np.isfinite(found["leakage"]).any()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("truth") / "a.mp4", seconds=FRAMES / RATE, size=(160, 120))


def test_the_truth_against_itself_is_as_good_as_can_be(truth: Path) -> None:
    true = watched()
    found = means(figures_of(truth, true, truth, true, speaks()))
    assert found["psnr"] == 100
    assert found["ssim"] == found["opening"] == found["crop_likeness"] == pytest.approx(1)
    assert found["lmd"] == found["lmd_centred"] == 0
    assert found["pose_speed"] == pytest.approx(30)
    own = means(own_figures(true, speaks()))
    assert own == {name: found[name] for name in own}
    assert set(found) <= {one.name for one in FIGURES}
