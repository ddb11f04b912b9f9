"""The list of figures is whole, and says of each what is better."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from tasks.judging import figures
from tasks.judging.figures import FIGURES, named
from tests.tasks.judging.films import blurred, film

# They are parts of other figures.
PARTS = {"twenty", "named", "possible", "Figure"}


def test_every_function_is_named() -> None:
    functions = {name for name in figures.__all__ if callable(getattr(figures, name))}
    assert functions - PARTS <= {one.name for one in FIGURES}
    assert len({one.name for one in FIGURES}) == len({one.label for one in FIGURES}) == len(FIGURES)


@pytest.mark.parametrize("one", FIGURES, ids=lambda one: one.name)
def test_what_is_said_can_be_read(one: figures.Figure) -> None:
    assert named(one.name) is one
    assert one.better in ("more", "less", "near 1", "none")
    assert one.about.endswith(".")
    told = getattr(figures, one.name, None)
    if told is not None:
        better = "as the truth's" if one.better == "none" else f"{one.better} is better"
        assert better in " ".join(inspect.getdoc(told).lower().split()), "the function says something else"


@pytest.mark.parametrize("name", ["psnr", "ssim", "sharpness", "crop_likeness"])
def test_the_truth_is_best_as_the_list_has_it(name: str) -> None:
    true, figure = film(), getattr(figures, name)
    best, worse = (figure(made, true).mean() for made in (true, blurred(true, 1.5)))
    if named(name).better == "near 1":
        best, worse = -abs(best - 1), -abs(worse - 1)
    assert best > worse
    assert np.isfinite(worse)
