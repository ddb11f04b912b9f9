"""Pictures of the fitted face."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.canvas import face
from models.canvas.face import Faces, face_pictures

SIDE, FRAMES = 96, 11
NOBODY = torch.zeros(80)


def drawn(rows: Tensor) -> Faces:
    """Rows of a head that turns, nods and moves, and whose face moves."""
    t = torch.linspace(0, 6.28, FRAMES)
    turn = torch.stack([0.05 * torch.sin(t), 0.2 * torch.sin(2 * t), 0 * t], 1)
    moved = torch.stack([20 * torch.sin(t), 5 * torch.cos(3 * t), 600 + 0 * t], 1)
    camera = torch.tensor([[400.0, 160.0, 120.0]]).expand(FRAMES, -1)
    expression = torch.randn(FRAMES, 64, generator=torch.Generator().manual_seed(0)) * 0.3
    place = torch.tensor([[1.3, 0.0, 97.6], [0.0, 1.3, 57.6]]).expand(FRAMES, -1, -1)
    told = (expression, turn, moved, camera, torch.zeros(FRAMES, 27), place)
    return face_pictures(NOBODY, NOBODY, *(part[rows] for part in told), SIDE)


@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_a_picture_does_not_depend_on_those_drawn_with_it(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = drawn(torch.arange(FRAMES))
    assert (together.pictures.amax(-1) > 0).float().mean() > 0.1
    monkeypatch.setattr(face, "_AT_ONCE", at_once)
    for start in range(4):
        some = drawn(torch.arange(start, FRAMES))
        assert torch.equal(some.pictures, together.pictures[start:])
        assert torch.equal(some.eyes, together.eyes[start:])
