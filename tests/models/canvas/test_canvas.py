"""Canvases: steady on a head that moves, blind to what the jaw does, and lossless outside their mask."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.canvas import (
    carried,
    masks,
    matched,
    mesh_pictures,
    mesh_points,
    mouth_box,
    places,
    sample,
)
from models.canvas.mesh import mesh_rows
from models.canvas.places import projected
from models.canvas.template import light_of_shots
from models.fit.geometry import rotation
from models.morphable.builtin import builtin
from tests.helpers.pasted import paste

SIDE, RATE = 64, 25.0
WHO = torch.zeros(80)


def head(frames: int = 60, noise: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations, translations and cameras of a head that nods, turns, tilts and wanders."""
    draw = torch.Generator().manual_seed(3)
    t = torch.arange(frames) / RATE
    turn = torch.stack([0.1 * torch.sin(2 * t), 0.3 * torch.sin(1.3 * t), 0.15 * torch.cos(1.1 * t)], 1)
    move = torch.stack([30 * torch.sin(t), 15 * torch.cos(1.4 * t), 600 + 30 * torch.sin(0.7 * t)], 1)
    move[:, :2] += noise * torch.randn(frames, 2, generator=draw)
    return turn, move, torch.tensor([[500.0, 160.0, 120.0]]).expand(frames, -1)


def lain(turn: Tensor, move: Tensor, camera: Tensor, shot: Tensor | None = None) -> Tensor:
    shot = torch.zeros(len(turn)) if shot is None else shot
    return places(WHO, turn, move, camera, shot, torch.ones(len(turn), dtype=torch.bool), RATE, SIDE)


def on_canvas(points: Tensor, at: Tensor) -> Tensor:
    return (points - at[:, None, :, 2]) @ torch.linalg.inv(at[:, :, :2]).transpose(1, 2)


def seen_at(vertices: Tensor, turn: Tensor, move: Tensor, camera: Tensor) -> Tensor:
    return projected(vertices.expand(len(turn), -1, -1), rotation(turn), move, camera)[..., :2]


def test_a_canvas_follows_without_lag_at_one_scale_a_shot() -> None:
    told = head()
    at = lain(*told)
    middle = on_canvas(seen_at(torch.tensor([[0.0, 42.0, -8.0]]), *told), at)[:, 0]
    assert (middle - SIDE / 2).abs().max() < 0.6
    scales = at[:, :, 0].norm(dim=1)
    assert scales.max() - scales.min() < 1e-5
    ears = seen_at(torch.tensor([[-40.0, 42.0, -8.0], [40.0, 42.0, -8.0]]), *told)
    level = on_canvas(ears, at)
    assert (level[:, 0, 1] - level[:, 1, 1]).abs().max() < 0.5


def test_jitter_of_a_fit_is_no_jitter_of_the_canvas() -> None:
    def shaking(at: Tensor) -> float:
        return float((at[2:, :, 2] - 2 * at[1:-1, :, 2] + at[:-2, :, 2]).abs().mean())

    still, shaken = shaking(lain(*head())), shaking(lain(*head(noise=1.0)))
    turn, move, camera = head(noise=1.0)
    raw = seen_at(torch.tensor([[0.0, 42.0, -8.0]]), turn, move, camera)[:, 0]
    loose = float((raw[2:] - 2 * raw[1:-1] + raw[:-2]).abs().mean())
    assert shaken - still < 0.25 * loose


def test_shots_and_missing_faces_part_canvases() -> None:
    turn, move, camera = head()
    move = move.clone()
    move[30:, 2] *= 2
    shot = (torch.arange(60) >= 30).float()
    seen = torch.ones(60, dtype=torch.bool)
    seen[10:12] = False
    turn = turn.clone()
    turn[10:12] = torch.nan
    at = places(WHO, turn, move, camera, shot, seen, RATE, SIDE)
    assert at[10:12].isnan().all()
    assert at[seen].isfinite().all()
    scales = at[:, :, 0].norm(dim=1)
    assert scales[29] / scales[31] == pytest.approx(2, rel=0.2)
    assert scales[5] == pytest.approx(scales[20].item())


def test_nobody_there_is_no_canvas() -> None:
    turn, move, camera = head(5)
    at = places(WHO, turn, move, camera, torch.zeros(5), torch.zeros(5, dtype=torch.bool), RATE, SIDE)
    assert at.isnan().all()


def test_a_mask_covers_the_lower_face_at_every_opening() -> None:
    told = head(12)
    at = lain(*told)
    alpha = masks(WHO, *told, at, SIDE)
    model = builtin()
    jaw = torch.from_numpy(model.expression[..., model.names.index("jaw_open")])
    lips = torch.from_numpy(model.mouth)
    chin = torch.tensor([152, 148, 377, 175, 199])
    for opening in (-0.4, 0.5, 1.2):
        face = torch.from_numpy(model.mean) + opening * jaw
        for vertices, least in ((lips, 0.99), (chin, 0.05)):
            where = on_canvas(seen_at(face[vertices], *told), at)
            for own, points in zip(alpha, where, strict=True):
                x, y = points.floor().long().clamp(0, SIDE - 1).unbind(1)
                assert own[y, x].min() >= least
    assert (alpha[:, 0] == 0).all()
    assert (alpha[:, -1] == 0).all()
    assert (alpha > 0).float().mean() < 0.7, "outside is exactly nothing"
    rows, columns = mouth_box(SIDE)
    assert alpha[:, rows, columns].mean() > 0.85


def test_the_mesh_opens_its_mouth() -> None:
    told = head(3)
    at = lain(*told)
    expression = torch.zeros(3, 64)
    expression[:, 0] = torch.tensor([0.0, 0.6, 1.2])
    pictures, covers, corners, _ = mesh_pictures(
        WHO, torch.zeros(80), expression, *told, torch.zeros(3, 27), at, SIDE
    )
    rows, columns = mouth_box(SIDE)
    hole = (covers[:, rows, columns] == 0).flatten(1).sum(1)
    assert hole[0] < hole[1] < hole[2]
    assert pictures.shape == (3, SIDE, SIDE, 3)
    alone = mesh_pictures(
        WHO, torch.zeros(80), expression[2:], *(a[2:] for a in told), torch.zeros(1, 27), at[2:], SIDE
    )
    assert torch.equal(alone[0][0], pictures[2]), "neighbours on the tall picture do not show"
    assert torch.equal(alone[1][0], covers[2])
    around = (slice(None), slice(10, 18), slice(8, 24))
    assert (covers[:, ::2, ::2][around] == 0).any()
    assert (corners[around] >= 0).all(), "for what is carried there is no hole"


def test_a_mouth_is_carried_from_mesh_to_mesh() -> None:
    """Pixels of a shut mouth's picture say where they are; on an open one they are at the same vertex."""
    told = head(2)
    at = lain(*told)
    shut, wide = torch.zeros(2, 64), torch.zeros(2, 64)
    wide[:, builtin().names.index("jaw_open")] = 1.0
    seen = mesh_pictures(WHO, torch.zeros(80), wide, *told, torch.zeros(2, 27), at, SIDE)
    there, here = (mesh_points(WHO, e, *told, at, SIDE) for e in (shut, wide))
    line = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
    says = torch.stack([line.expand(SIDE, -1), line[:, None].expand(-1, SIDE), 0 * line.expand(SIDE, -1)])
    pictures = says.expand(2, 1, -1, -1, -1)
    found, known = carried(pictures, there[:, None], seen.corners, seen.shares)
    own = mesh_rows(builtin().mouth)
    grid = here[:, own][:, None] * 2 - 1
    told_there = functional.grid_sample(found[:, 0, :2], grid, align_corners=False)[:, :, 0].transpose(1, 2)
    assert (told_there - (there[:, own] * 2 - 1)).abs().max() < 2.5 / SIDE * 2
    assert (told_there - (there[:, own] * 2 - 1)).abs().mean() < 0.6 / SIDE * 2
    assert (found * (1 - known[:, None]) == 0).all()
    assert (here[:, own] - there[:, own]).abs().max() > 0.05, "the mouth did move"


def smooth(count: int, height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height) / 17, torch.arange(width) / 13, indexing="ij")
    shades = [128 + 90 * torch.sin(x + k) * torch.cos(y - k) for k in range(3)]
    return torch.stack(shades, -1).round().to(torch.uint8).expand(count, -1, -1, -1).clone()


def test_what_was_sampled_goes_back_where_it_was() -> None:
    told = head(6)
    at = lain(*told)
    pictures = smooth(6, 240, 320)
    alpha = masks(WHO, *told, at, SIDE)
    back = paste(pictures, sample(pictures, at, SIDE), at, alpha)
    assert (back.int() - pictures.int()).abs().max() <= 8
    assert (back.int() - pictures.int()).abs().float().mean() < 0.2


def test_outside_the_mask_not_a_bit_changes() -> None:
    told = head(6)
    at = lain(*told)
    draw = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (6, 240, 320, 3), generator=draw).to(torch.uint8)
    alpha = masks(WHO, *told, at, SIDE)
    out = paste(pictures, torch.full((6, SIDE, SIDE, 3), 255, dtype=torch.uint8), at, alpha)
    y, x = torch.meshgrid(torch.arange(240) + 0.5, torch.arange(320) + 0.5, indexing="ij")
    grid = torch.stack([x, y], -1).reshape(1, -1, 2).expand(6, -1, -1)
    where = on_canvas(grid, at)
    near = torch.zeros(6, 240 * 320, dtype=torch.bool)
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            at_x, at_y = ((where[..., i] + d).floor().long() for i, d in ((0, dx), (1, dy)))
            inside = (at_x >= 0) & (at_x < SIDE) & (at_y >= 0) & (at_y < SIDE)
            flat = at_y.clamp(0, SIDE - 1) * SIDE + at_x.clamp(0, SIDE - 1)
            near |= inside & (alpha.flatten(1).gather(1, flat) > 0)
    changed = (out != pictures).any(-1).flatten(1)
    assert not (changed & ~near).any()
    assert changed.float().mean() > 0.05
    assert torch.equal(paste(pictures, out[:, :SIDE, :SIDE], at, torch.zeros_like(alpha)), pictures)


def test_a_canvas_may_reach_over_the_edge() -> None:
    turn, move, camera = head(4)
    move = move + torch.tensor([150.0, 90.0, 0.0])
    at = lain(turn, move, camera)
    pictures = smooth(4, 240, 320)
    canvases = sample(pictures, at, SIDE)
    alpha = masks(WHO, turn, move, camera, at, SIDE)
    assert paste(pictures, canvases, at, alpha).shape == pictures.shape


def test_large_faces_are_sampled_without_flicker() -> None:
    """Stripes finer than a canvas pixel are grey, not moire."""
    turn, move, camera = head(2)
    at = lain(turn, move * torch.tensor([1, 1, 0.3]), camera * torch.tensor([1.0, 2, 2]))
    pictures = torch.zeros(2, 480, 640, 3, dtype=torch.uint8)
    pictures[:, :, ::2] = 255
    canvases = sample(pictures, at, 32).float()
    assert at[:, :, 0].norm(dim=1).min() > 4
    assert (canvases - 127.5).abs().max() < 40


def test_colours_are_matched_by_what_is_around_alone() -> None:
    told = head(4)
    at = lain(*told)
    alpha = masks(WHO, *told, at, SIDE)
    true = smooth(4, SIDE, SIDE)
    darker = (true.int() - torch.tensor([20, 10, 5])).clamp(0, 255).to(torch.uint8)
    again = matched(darker, true, alpha)
    assert (again.int() - true.int()).abs().float().mean() < 1.5
    hidden = (alpha > 0)[..., None]
    other = torch.where(hidden, 255 - true, true)
    assert torch.equal(matched(darker, other, alpha), again)


def test_light_is_one_a_shot() -> None:
    draw = torch.Generator().manual_seed(1)
    light = torch.randn(10, 27, generator=draw)
    shot = torch.tensor([0] * 6 + [1] * 4)
    seen = torch.ones(10, dtype=torch.bool)
    seen[2], light[2] = False, math.nan
    even = light_of_shots(light, shot, seen)
    assert even.isfinite().all()
    assert len(even.unique(dim=0)) == 2
