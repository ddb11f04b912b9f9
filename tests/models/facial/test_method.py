"""FACIAL as dubbing sees it: heads that move as performed or as filmed, and what they are never shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.canvas.face import face_pictures
from models.canvas.still import Standing
from models.facial.clocks import Reread
from models.facial.config import FacialConfig, facial_config
from models.facial.method import EAR, PERFORMER, PICTURE, FacialSpeaker
from models.facial.network_picture import new_generator
from models.facial.training_picture import NETWORK
from models.memface.listening import listen
from models.methods import Fit, Motion, Near, Person, Template, View, find_method
from models.morphable.builtin import builtin
from tests.helpers.expressions import SMOKE as LISTENING
from tests.helpers.expressions import in_blocks, sound
from tests.helpers.expressions import living as living_ear
from tests.helpers.performers import living

CONFIG = replace(facial_config("smoke"), listening=LISTENING)
PAPERS = replace(CONFIG, hearing="performer")
FRAMES, HEIGHT, WIDTH = 60, 120, 160
BEFORE, AFTER = 6, 3


def template(seed: int = 0) -> Template:
    t = torch.arange(FRAMES) / 25
    turn = torch.stack([0.05 * torch.sin(3 * t), 0.15 * torch.sin(2 * t), 0.04 * torch.cos(4 * t)], 1)
    moved = torch.stack([8 * torch.sin(t), 4 * torch.cos(2 * t), 600 + 10 * torch.sin(t)], 1)
    camera = torch.tensor([[260.0, WIDTH / 2, HEIGHT / 2]]).expand(FRAMES, -1)
    fit = Fit(turn, moved, camera, torch.zeros(FRAMES, 27), torch.zeros(FRAMES, 64))
    side = CONFIG.picture.side
    draw = torch.Generator().manual_seed(seed)
    plate = torch.randint(0, 256, (side, side, 3), generator=draw, dtype=torch.uint8)
    seen = torch.ones(FRAMES, dtype=torch.bool)
    return Template(fit, torch.zeros(FRAMES, dtype=torch.int32), seen, HEIGHT, WIDTH, 25.0, {0: plate})


def pictures(seed: int = 7) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (FRAMES, HEIGHT, WIDTH, 3), generator=draw, dtype=torch.uint8)


def weights(config: FacialConfig = CONFIG) -> Mapping[str, Mapping[str, Tensor]]:
    net, ear = living(config.performer), living_ear(LISTENING)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        generator = new_generator(config.picture)
    performer = {f"performer/{name}": value for name, value in net.state_dict().items()}
    return {
        EAR: {f"expression/{name}": value for name, value in ear.state_dict().items()},
        PERFORMER: performer,
        PICTURE: {f"{NETWORK}/{name}": value for name, value in generator.state_dict().items()},
    }


def speaker(config: FacialConfig = CONFIG) -> FacialSpeaker:
    person = Person(torch.zeros(80), torch.zeros(80), None, {})
    made = find_method("facial").speaker(config, weights(config), person)
    assert isinstance(made, FacialSpeaker)
    made.meet(template())
    return made


def motion(moves: bool = True, blink: float = 0.0) -> Motion:
    """Of every frame of the template; where it moves, everywhere 6 mm to the right of the film's head."""
    draw = torch.Generator().manual_seed(3)
    own, fit = 0.5 * torch.randn(FRAMES, 64, generator=draw), template().fit
    shut = torch.full((FRAMES,), blink)
    if not moves:
        return Motion(own, blink=shut)
    return Motion(own, fit.rotation, fit.translation + torch.tensor([6.0, 0, 0]), shut)


def view(
    told: Motion, seen: Tensor, start: int = 20, stop: int = 24, speaks: float = 1.0, moves: float = 1.0
) -> View:
    met = template()
    at, near = torch.arange(start, stop), torch.arange(start - BEFORE, stop + AFTER).clamp(0, FRAMES - 1)

    def rows(of: Motion, which: Tensor) -> Motion:
        return Motion(*(None if one is None else one[which] for one in of))  # type: ignore[arg-type]

    around = Near(Fit(*(v[near] for v in met.fit)), rows(told, near), torch.full((len(near),), moves))
    fit = Fit(*(values[at] for values in met.fit))
    share = torch.full((len(at),), speaks)
    return View(seen[at], at, torch.zeros(len(at)), fit, rows(told, at), share, around)


@pytest.mark.parametrize("sizes", [(7,), (50, 3), (1000,)])
def test_motion_is_the_same_whatever_the_blocks(sizes: tuple[int, ...]) -> None:
    whole = sound(400)
    made = [list(speaker().listen(in_blocks(whole, one))) for one in (sizes, (400,))]
    for name in ("expression", "rotation", "translation", "blink"):
        one, other = (torch.cat([getattr(block, name) for block in blocks]) for blocks in made)
        assert len(one) == 200
        assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("rows", [25, 215])
def test_any_length_of_speech_is_performed(rows: int) -> None:
    """Half a second, and just about one window."""
    found = torch.cat([block.expression for block in speaker().listen(iter([sound(rows)]))])
    assert len(found) == (rows + 1) // 2
    assert bool(torch.isfinite(found).all())


def test_a_head_is_held_where_it_was_filmed() -> None:
    met = template()
    blocks = list(speaker().listen(iter([sound(1500)])))
    turn = torch.cat([block.rotation for block in blocks if block.rotation is not None])
    moved = torch.cat([block.translation for block in blocks if block.translation is not None])
    for found, filmed in ((turn, met.fit.rotation), (moved, met.fit.translation)):
        # A little more in depth than in the picture: both are told by the same columns.
        slack = 0.15 * (filmed.amax(0) - filmed.amin(0))
        assert bool((found >= filmed.amin(0) - slack).all())
        assert bool((found <= filmed.amax(0) + slack).all())
    assert float(turn.std(0).min()) > 0


def test_nothing_under_the_hole_is_looked_at() -> None:
    """Other pixels there give the same head."""
    made, met = speaker(), template()
    seen, other = pictures(), pictures(9)
    fit = met.fit
    standing = Standing(
        torch.zeros(80), fit.rotation, fit.translation, fit.camera, met.shot, met.seen, CONFIG.picture.side
    )
    still = standing.shots[0]
    # Bicubic samples look two picture pixels further; the guard is wider.
    scale = float(still.place[0, 0])
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    u, v = (x - still.place[0, 2]) / scale, (y - still.place[1, 2]) / scale
    side = CONFIG.picture.side
    inside = (u >= 0) & (u < side) & (v >= 0) & (v < side)
    at = (v.long().clamp(0, side - 1), u.long().clamp(0, side - 1))
    hole = inside & (still.hole[at] > 0)
    mixed = torch.where(hole[None, ..., None], other, seen)
    one, two = (made.draw(view(motion(), some)) for some in (seen, mixed))
    assert float(hole.float().mean()) > 0.1
    assert torch.equal(one.patches, two.patches)


def test_what_is_drawn_is_laid_on_the_hole_alone() -> None:
    drawn = speaker().draw(view(motion(), pictures()))
    assert drawn.patches.shape == (4, 64, 64, 3)
    assert torch.equal(drawn.places[0], drawn.places[3])
    assert torch.equal(drawn.alpha[0], drawn.alpha[3])
    assert float(drawn.alpha[:, 0].max()) == 0
    assert float(speaker().draw(view(motion(), pictures(), speaks=0.0)).alpha.max()) == 0


def test_the_head_moves_as_it_is_wanted_to_or_as_it_was_filmed() -> None:
    made, seen = speaker(), pictures()
    moved, filmed = (made.draw(view(motion(moves), seen)).patches for moves in (True, False))
    assert not torch.equal(moved, filmed)
    # Where the template is to come through, both are at the same place.
    brows = motion()._replace(expression=torch.zeros(FRAMES, 64))
    still = motion(False)._replace(expression=torch.zeros(FRAMES, 64))
    faint = [made.draw(view(one, seen, moves=0.0)).patches for one in (brows, still)]
    assert torch.equal(*faint)


def test_of_a_filmed_head_only_lips_and_lids_are_drawn() -> None:
    made, seen = speaker(), pictures()
    whole, kept = (made.draw(view(motion(moves), seen)).alpha for moves in (True, False))
    assert bool((kept <= whole + 1e-6).all())
    assert 0.05 < float(kept.sum() / whole.sum()) < 0.6
    # Lips below, and two eyes above; nothing of the brow between hair and lids.
    rows = (kept[0] > 0.5).any(1).nonzero()[:, 0]
    assert not bool((rows.diff() == 1).all())


def test_a_head_is_performed_for_the_shot_that_is_walked_over() -> None:
    """What another shot shows says nothing of it; there, heads stay as they were filmed."""
    met, made = template(), speaker()
    shot = (torch.arange(FRAMES) >= 36).int()
    moved = met.fit.translation.clone()
    moved[36:] += torch.tensor([80.0, 0, 900])
    both = met._replace(fit=met.fit._replace(translation=moved), shot=shot, plates={})
    for walked, depth in (((0, 36), 600), ((36, FRAMES), 1500), ((20, FRAMES), 1500)):
        made.meet(both._replace(walked=walked))
        found = [block.translation for block in made.listen(iter([sound(400)]))]
        assert abs(float(torch.cat([x for x in found if x is not None])[:, 2].mean()) - depth) < 30
    seen = pictures()
    early = [made.draw(view(one, seen)) for one in (motion(), motion(False))]
    late = [made.draw(view(one, seen, 40, 44)) for one in (motion(), motion(False))]
    assert torch.equal(early[0].alpha, early[1].alpha)
    assert not torch.equal(late[0].alpha, late[1].alpha)


def test_lids_follow_the_blink() -> None:
    made, seen = speaker(), pictures()
    open_, shut = (made.draw(view(motion(blink=share), seen)).patches for share in (0.0, 1.0))
    assert not torch.equal(open_, shut)
    blind = replace(CONFIG, picture=replace(CONFIG.picture, eyes=False))
    both = [speaker(blind).draw(view(motion(blink=share), seen)).patches for share in (0.0, 1.0)]
    assert torch.equal(*both)


def test_frames_are_drawn_alike_in_any_block() -> None:
    made, seen = speaker(), pictures()
    whole = made.draw(view(motion(), seen)).patches
    parts = [made.draw(view(motion(), seen, k, k + 1)).patches for k in range(20, 24)]
    assert int((whole.int() - torch.cat(parts).int()).abs().max()) <= 1


@pytest.mark.parametrize("preset", ["smoke", "cpu", "gpu"])
def test_a_configuration_survives_json(preset: str) -> None:
    method, config = find_method("facial"), facial_config(preset)
    assert method.config_from(json.loads(json.dumps(config.as_dict()))) == config
    own = [PERFORMER, PICTURE]
    assert [stage.name for stage in method.stages(config)] == (own if preset == "gpu" else [EAR, *own])


def test_lips_are_the_ears_and_all_else_the_performers() -> None:
    slow, quick = (speaker(one) for one in (CONFIG, PAPERS))
    both, papers = (
        torch.cat([block.expression for block in one.listen(iter([sound(400)]))]) for one in (slow, quick)
    )
    assert (slow.rate, len(both), quick.rate, len(papers)) == (25.0, 200, 30.0, 240)
    lips = torch.from_numpy(builtin().coefficients_of(LISTENING.groups))
    others = torch.ones(64, dtype=torch.bool)
    others[lips] = False
    heard = torch.cat(list(listen(living_ear(LISTENING), iter([sound(400)]))))
    assert torch.equal(both[:, lips], heard[:, lips])
    # Row 2 of 25 stands for the middle between rows 2 and 3 of 30.
    assert torch.allclose(both[2, others], (papers[2, others] + papers[3, others]) / 2, atol=1e-5)


@pytest.mark.parametrize("sizes", [(25,), (1,) * 25, (7, 0, 18)])
def test_rows_at_another_rate(sizes: tuple[int, ...]) -> None:
    rows = torch.arange(25.0)[:, None].expand(-1, 64)
    read = Reread(iter(rows.split(list(sizes))), 25.0, 30.0)
    found = torch.cat([read.read(0, 4), read.read(4, 5), read.read(5, 30)])[:, 0]
    wanted = ((torch.arange(30) + 0.5) / 30 * 25 - 0.5).clamp(0, 24)
    assert torch.allclose(found, wanted, atol=1e-4)


def test_faces_of_the_block_before_are_not_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks in order give what each gives alone, and every face but the first block's is rendered once."""
    counted = []

    def counting(*told: Any) -> Any:
        counted.append(len(told[2]))
        return face_pictures(*told)

    monkeypatch.setattr("models.facial.painter.face_pictures", counting)
    made, seen = speaker(), pictures()
    views = [view(motion(), seen, k, k + 4) for k in range(20, 32, 4)]
    alone = [speaker().draw(one).patches for one in views]
    counted.clear()
    for one, own in zip(views, alone, strict=True):
        assert int((made.draw(one).patches.int() - own.int()).abs().max()) <= 1
    assert counted == [13, 4, 4]
