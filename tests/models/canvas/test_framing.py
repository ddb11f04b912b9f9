"""Framings: the same mouth on every canvas, and nothing drawn anew outside the mouth's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.canvas import masks, places
from models.canvas.framing import FACE, MOUTH, TALL, Framing, mouth_canvas
from models.canvas.mask import framed_masks
from models.canvas.painting import Easel
from models.methods import Fit, Motion, Person, Template, View

WHO, FRAMES, RATE = torch.zeros(80), 20, 25.0


def head() -> tuple[Tensor, Tensor, Tensor]:
    t = torch.arange(FRAMES) / RATE
    turn = torch.stack([0.1 * torch.sin(2 * t), 0.3 * torch.sin(1.3 * t), 0.15 * torch.cos(1.1 * t)], 1)
    move = torch.stack([30 * torch.sin(t), 15 * torch.cos(1.4 * t), 600 + 30 * torch.sin(0.7 * t)], 1)
    return turn, move, torch.tensor([[500.0, 160.0, 120.0]]).expand(FRAMES, -1)


def lain(side: int, framing: Framing) -> Tensor:
    shot, seen = torch.zeros(FRAMES), torch.ones(FRAMES, dtype=torch.bool)
    return places(WHO, *head(), shot, seen, RATE, side, framing)


@pytest.mark.parametrize(("side", "framing", "mouth"), [(128, FACE, 72), (104, TALL, 64), (416, TALL, 256)])
def test_the_mouth_lies_where_its_framing_says(side: int, framing: Framing, mouth: int) -> None:
    rows, columns = framing.box(side)
    assert rows.stop - rows.start == columns.stop - columns.start == mouth
    corner = torch.tensor([columns.start, rows.start], dtype=torch.float32)
    own, around = lain(mouth, MOUTH), lain(side, framing)
    for offset in (torch.zeros(2), torch.tensor([mouth / 2, mouth])):
        there = around[:, :, :2] @ (corner + offset) + around[:, :, 2]
        here = own[:, :, :2] @ offset + own[:, :, 2]
        torch.testing.assert_close(there, here, atol=1e-3, rtol=0)


def test_dinets_hole_is_the_mouths_canvas() -> None:
    assert TALL.box(104) == (slice(32, 96), slice(20, 84))


def test_a_framed_mask_is_the_mouths_mask_in_its_place() -> None:
    own = masks(WHO, *head(), lain(72, MOUTH), 72)
    around = framed_masks(WHO, *head(), lain(128, FACE), 128, FACE)
    torch.testing.assert_close(mouth_canvas(around[:, None], FACE)[:, 0], own, atol=2e-3, rtol=0)
    rows, columns = FACE.box(128)
    around[:, rows, columns] = 0
    assert around.abs().max() == 0


def test_masks_of_the_usual_canvas_are_as_they_were() -> None:
    at = lain(64, MOUTH)
    assert torch.equal(framed_masks(WHO, *head(), at, 64, MOUTH), masks(WHO, *head(), at, 64))


def view() -> View:
    turn, move, camera = head()
    fit = Fit(turn, move, camera, torch.zeros(FRAMES, 27), torch.zeros(FRAMES, 64))
    draw = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 255, (FRAMES, 240, 320, 3), generator=draw, dtype=torch.uint8)
    frames = torch.arange(FRAMES)
    return View(
        pictures, frames, torch.zeros(FRAMES), fit, Motion(torch.zeros(FRAMES, 64)), torch.ones(FRAMES)
    )


def test_an_easel_hides_the_mask_and_lays_back_only_there() -> None:
    seen, easel = view(), Easel(Person(WHO, WHO, None, {}), 128, FACE)
    easel.meet(Template(seen.fit, torch.zeros(FRAMES), torch.ones(FRAMES, dtype=torch.bool), 240, 320, RATE))
    looked = easel.look(seen)
    assert ((looked.alpha > 0) <= (looked.hidden[:, 0] > 0)).all()
    assert looked.hidden.sum() > (looked.alpha > 0).sum()
    black = torch.zeros_like(looked.canvases)
    drawn = easel.lay(black, looked, seen._replace(speaks=torch.zeros(FRAMES)))
    assert drawn.alpha.max() == 0
    half = torch.zeros_like(looked.alpha)
    half[:, 64:] = 1
    drawn = easel.lay(black, looked, seen, half)
    assert drawn.alpha[:, :64].max() == 0
    assert torch.equal(drawn.alpha[:, 64:], looked.alpha[:, 64:])
