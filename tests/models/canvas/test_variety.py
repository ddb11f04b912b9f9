"""Varied pictures: what moves, what stays, and that all pictures of a sample change alike."""

from __future__ import annotations

import torch

from models.canvas.framing import FACE
from models.canvas.places import mouth_in
from models.canvas.variety import kneaded, varied, varieties

LIPS = mouth_in(FACE, 128)


def _spots() -> torch.Tensor:
    """Two samples of two pictures (2, 2, 1, 128, 128), bright at the lips' middle and in a corner."""
    out = torch.zeros(2, 2, 1, 128, 128)
    out[..., 90:94, 62:66] = 1
    out[..., 4:8, 4:8] = 1
    return out


def _middle(picture: torch.Tensor) -> tuple[float, float]:
    """Column and row of the bright spot in the lower half."""
    below = picture[0].clone()
    below[:64] = 0
    at = torch.arange(128) + 0.5
    return float((below.sum(0) * at).sum() / below.sum()), float((below.sum(1) * at).sum() / below.sum())


def test_mouths_move_as_told_and_corners_stay() -> None:
    by = torch.zeros(2, 5)
    by[1, 0], by[1, 1] = 0.05, -0.03
    made = kneaded(_spots(), by, LIPS)
    assert torch.allclose(made[0], _spots()[0], atol=1e-4)
    for picture in made[1]:
        column, row = _middle(picture)
        assert abs(column - 64 - 0.05 * 72) < 0.4
        assert abs(row - 92 + 0.03 * 72) < 0.4
        assert torch.allclose(picture[..., :16, :16], _spots()[1, 0, ..., :16, :16], atol=1e-3)


def test_mouths_grow_about_their_middle() -> None:
    wide, by = torch.zeros(1, 1, 1, 128, 128), torch.zeros(1, 5)
    wide[..., 91:93, 54:74] = 1
    by[0, 2] = 0.2
    made = kneaded(wide, by, LIPS)
    assert made.sum() > 1.1 * wide.sum()
    assert abs(_middle(made[0, 0])[0] - 64) < 0.2


def test_a_share_is_kneaded_by_chance() -> None:
    by = varieties(1000, 0.0, 0.0, 0.6, torch.Generator().manual_seed(0))["kneaded"]
    assert abs(float(by.any(1).float().mean()) - 0.6) < 0.05
    assert by.abs().amax(0).le(torch.tensor([0.06, 0.06, 0.16, 0.16, 0.08]) + 1e-6).all()
    again = varieties(1000, 0.0, 0.0, 0.6, torch.Generator().manual_seed(0))["kneaded"]
    assert torch.equal(by, again)
    assert varieties(4, 0.0, 0.0, 0.0, torch.Generator()) == {}


def test_light_is_the_same_in_either_range() -> None:
    draw = torch.Generator().manual_seed(1)
    pictures, by = torch.rand(3, 2, 3, 8, 8, generator=draw), varieties(3, 0.1, 0.5, 0.0, draw)
    made = varied(pictures, by, mouth_in(FACE, 8))
    assert not torch.allclose(made, pictures)
    assert torch.allclose(varied(2 * pictures - 1, by, mouth_in(FACE, 8), dark=-1.0), 2 * made - 1, atol=1e-5)


def test_a_share_of_a_blur_keeps_what_is_even() -> None:
    even, spots = torch.full((1, 2, 3, 16, 16), 0.4), torch.zeros(1, 2, 3, 16, 16)
    spots[..., 8, 8] = 1
    for share in (1.0, -0.25):
        by = {"soft": torch.tensor([share])}
        assert torch.allclose(varied(even, by, LIPS), even, atol=1e-6)
        made = varied(spots, by, LIPS)
        assert torch.equal(made[0, 0], made[0, 1])
        assert (made[..., 8, 8] < 0.2).all() if share > 0 else (made[..., 8, 8] == 1).all()
    assert abs(float(varied(spots, {"soft": torch.ones(1)}, LIPS).sum()) - 6) < 1e-4
