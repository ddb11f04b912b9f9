"""The shape of a mouth: what its vertices do, and nothing that the eyes do."""

from __future__ import annotations

import numpy as np
import torch

from models.memory.reading import keys_of
from models.morphable.builtin import builtin
from models.morphable.mouth_shape import MOUTH_NUMBERS, MouthShape, opening_of_keys


def test_it_is_where_the_vertices_go() -> None:
    model = builtin()
    expression = 0.5 * torch.randn(6, 64, generator=torch.Generator().manual_seed(3))
    own = model.coefficients_of(("jaw", "lips", "cheeks"))
    mine = torch.zeros_like(expression)
    mine[:, own] = expression[:, own]
    who = torch.zeros(80)
    moved = keys_of(who, mine) - keys_of(who, torch.zeros(1, 64))
    found = MouthShape()(expression)
    assert found.shape == (6, MOUTH_NUMBERS)
    assert torch.allclose(5 * found, moved, atol=1e-3)


def test_lids_and_gaze_tell_nothing() -> None:
    expression = torch.zeros(2, 5, 64)
    others = np.setdiff1d(np.arange(64), builtin().coefficients_of(("jaw", "lips", "cheeks")))
    expression[..., others] = 3.0
    assert (MouthShape()(expression) == 0).all()


def test_half_precision_does_not_reach_it() -> None:
    shape, expression = MouthShape(), torch.full((1, 64), 0.1234)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(shape(expression), shape(expression.float()))
    assert not shape.state_dict()


def test_opening_grows_with_the_jaw() -> None:
    expression = torch.zeros(3, 64)
    expression[:, builtin().names.index("jaw_open")] = torch.tensor([0.0, 0.5, 1.0])
    found = opening_of_keys(keys_of(torch.zeros(80), expression))
    assert (found.diff() > 3).all()
