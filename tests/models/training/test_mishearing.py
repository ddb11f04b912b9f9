"""What ears get wrong, as trainings make it up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from models.training import TRAIN, About, Bundle, Segment, write_bundle
from models.training.mishearing import misheard, misplaced, spread_of


def test_mistakes_last_and_are_as_large_as_they_should_be() -> None:
    draw = torch.Generator().manual_seed(2)
    around = torch.zeros(400, 5, 5, 64)
    spread = torch.linspace(0.5, 2, 64)
    wrong = misheard(around, spread, 0.25, 0.0, draw)
    assert torch.allclose(wrong.std((0, 1, 2)) / spread, torch.tensor(0.25), atol=0.05)
    assert torch.equal(wrong[:, :1].expand_as(wrong), wrong)
    slow = misheard(around, spread, 0.0, 0.1, draw)
    assert torch.allclose(slow[:, 0, 3], slow[:, 3, 0]), "the same moment, seen from two frames"
    assert not torch.allclose(slow[:, 0, 0], slow[:, 4, 4])


def test_a_share_is_told_what_is_beside_it() -> None:
    first, draw = np.full(2000, 5), torch.Generator().manual_seed(0)
    told = misplaced(first, np.zeros(2000), np.full(2000, 9), 0.3, draw)
    assert set(told.tolist()) == {4, 5, 6}
    assert abs((told != 5).mean() - 0.3) < 0.04
    edge = misplaced(first, first, first, 1.0, draw)
    assert (edge == 5).all(), "never beyond the run"


def test_people_differ_by_more_than_they_vary(tmp_path: Path) -> None:
    """A deviation is of everybody about their own mean."""
    wave = np.sin(np.arange(100)).repeat(64).reshape(100, 64)
    around = np.repeat(np.concatenate([wave, wave + 50])[:, None], 5, 1).astype(np.float32)
    who = np.repeat([0, 1], 100).astype(np.int32)
    segments = (Segment("a", 0, 100, 25.0, TRAIN), Segment("b", 100, 200, 25.0, TRAIN))
    about = About("x", "x", "smoke", {}, segments=segments)
    bundle = Bundle(write_bundle(tmp_path / "b", about, {"around": around, "speaker": who}))
    np.testing.assert_allclose(spread_of(bundle), wave[:, 0].std(), atol=1e-4)
