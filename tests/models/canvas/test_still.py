"""Canvases that stand still, the hole in which a head moves, what lies behind it, and rendered faces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.canvas.face import face_pictures
from models.canvas.still import Standing, plate_of

SIDE, FRAMES = 96, 40
NOBODY = torch.zeros(80)


def pose(sway_mm: float = 20.0) -> tuple[Tensor, Tensor, Tensor]:
    t = torch.linspace(0, 6.28, FRAMES)
    turn = torch.stack([0.05 * torch.sin(t), 0.2 * torch.sin(2 * t), 0 * t], 1)
    moved = torch.stack([sway_mm * torch.sin(t), 0 * t, 600 + 0 * t], 1)
    return turn, moved, torch.tensor([[400.0, 160.0, 120.0]]).expand(FRAMES, -1)


def standing(sway_mm: float = 20.0, seen: Tensor | None = None, shot: Tensor | None = None) -> Standing:
    seen = torch.ones(FRAMES, dtype=torch.bool) if seen is None else seen
    shot = torch.zeros(FRAMES) if shot is None else shot
    return Standing(NOBODY, *pose(sway_mm), shot, seen, SIDE)


def faces(expression: Tensor, rows: Tensor, made: Standing) -> tuple[Tensor, Tensor]:
    turn, moved, camera = (part[rows] for part in pose())
    place = made.shots[0].place.expand(len(rows), -1, -1)
    light = torch.zeros(len(rows), 27)
    return face_pictures(NOBODY, NOBODY, expression, turn, moved, camera, light, place, SIDE)


def test_every_frames_head_lies_in_the_hole() -> None:
    made = standing()
    rows = torch.arange(FRAMES)
    heads = made.heads(rows, made.shots[0])
    inside = made.shots[0].hole > 0
    assert heads.any()
    outside = (heads & ~inside).float().sum((1, 2)) / heads.float().sum((1, 2))
    assert float(outside.max()) < 0.03
    drawn, _ = faces(torch.zeros(FRAMES, 64), rows, made)
    face = drawn.amax(-1) > 0
    assert face.float().mean() > 0.1
    assert not (face & ~inside).any()


def test_the_hole_is_hidden_with_a_margin() -> None:
    still = standing().shots[0]
    assert bool((still.hidden[still.hole > 0] == 1).all())
    assert float(still.hidden.sum()) > float((still.hole > 0).sum())
    assert float(still.hole.min()) == 0


def test_further_movement_makes_a_wider_hole() -> None:
    """Of the same picture pixels more is hidden, on a canvas that shows more of the picture."""
    calm, lively = (standing(mm).shots[0] for mm in (2.0, 120.0))
    reach = [float(one.place[0, 0]) ** 2 * float((one.hole > 0.5).sum()) for one in (calm, lively)]
    assert reach[1] > 1.2 * reach[0]


def test_each_shot_has_its_own() -> None:
    seen = torch.ones(FRAMES, dtype=torch.bool)
    seen[30:] = False
    made = standing(seen=seen, shot=(torch.arange(FRAMES) >= 20).float())
    assert set(made.shots) == {0, 1}
    turn, moved, camera = pose()
    moved = moved.clone()
    moved[20:] += torch.tensor([100.0, 0, 0])
    other = Standing(NOBODY, turn, moved, camera, (torch.arange(FRAMES) >= 20).float(), seen, SIDE)
    assert torch.equal(other.shots[0].place, made.shots[0].place)
    assert not torch.allclose(other.shots[1].place, made.shots[1].place)


def test_a_plate_shows_what_is_behind_wherever_it_was_ever_seen_and_no_head() -> None:
    wall = torch.randint(0, 256, (SIDE, SIDE, 3), generator=torch.Generator().manual_seed(0))
    made = standing()
    rows = torch.arange(FRAMES)
    heads = made.heads(rows, made.shots[0])
    canvases = torch.where(heads[..., None], 7, wall[None]).to(torch.uint8)
    plate, unrest = plate_of(canvases, heads)
    assert unrest == 0
    ever = (~heads).any(0)
    assert 0.05 < float(1 - ever.float().mean()) < 0.9
    assert torch.equal(plate[ever], wall.to(torch.uint8)[ever])
    assert bool((plate[~ever] == 128).all())


def test_a_plate_is_the_middle_of_what_was_seen() -> None:
    canvases = torch.tensor([10, 20, 200], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(-1, 2, 2, 3)
    heads = torch.zeros(3, 2, 2, dtype=torch.bool)
    heads[0, 0, 0] = heads[2, 0, 0] = True
    plate, unrest = plate_of(canvases, heads)
    assert plate[0, 0].tolist() == [20, 20, 20]
    assert plate[1, 1].tolist() == [20, 20, 20]
    # Of ten views of a wall three are 10 levels away, three 180, four not at all.
    assert unrest == pytest.approx((3 * 10 + 3 * 180) / 10)


def test_rendered_lids_say_nothing() -> None:
    """Only an eye attention map may tell how far eyes are shut; mouths are another matter."""
    from models.morphable.builtin import builtin

    made, rows = standing(), torch.zeros(3, dtype=torch.int64)
    expression = torch.zeros(3, 64)
    expression[1, torch.from_numpy(builtin().coefficients_of(("lids", "gaze")))] = 1.5
    expression[2, torch.from_numpy(builtin().coefficients_of(("jaw",)))] = 1.5
    drawn, eyes = faces(expression, rows, made)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(eyes[0], eyes[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_eyes_are_where_the_eyes_are() -> None:
    made = standing()
    drawn, eyes = faces(torch.zeros(1, 64), torch.zeros(1, dtype=torch.int64), made)
    face, region = (drawn[0].amax(-1) > 0).nonzero(), (eyes[0] > 128).nonzero()
    assert 0.005 < len(region) / len(face) < 0.1
    assert float(region[:, 0].float().mean()) < float(face[:, 0].float().mean())
    # One to the left and one to the right of the face's middle.
    across = region[:, 1].float() - face[:, 1].float().mean()
    assert 0.3 < float((across > 0).float().mean()) < 0.7
    assert float(across.abs().min()) > 2


def test_of_a_small_head_more_is_hidden_around_the_hole() -> None:
    """Samples of few picture pixels look further on the canvas."""
    margins = []
    for far in (1.0, 9.0):
        turn, moved, camera = pose()
        seen = torch.ones(FRAMES, dtype=torch.bool)
        still = Standing(NOBODY, turn, moved * far, camera, torch.zeros(FRAMES), seen, SIDE).shots[0]
        margins.append(float(still.hidden.sum() - (still.hole > 0).sum()))
    assert margins[1] > 1.15 * margins[0]
