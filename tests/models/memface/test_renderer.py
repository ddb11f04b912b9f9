"""The renderer: it learns, reads its memory and never what is hidden, and streams what it was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.canvas import mesh_pictures, mesh_points, mouth_box, places
from models.canvas.mesh import Meshes
from models.memface.config_renderer import RendererConfig, renderer_config
from models.memface.network_renderer import Renderer, conditions, laid_over
from models.memface.painter import Painter
from models.memface.training_renderer import RENDERER_ARRAYS, RendererTrainee
from models.methods import Fit, Memory, Motion, Person, Template, View
from models.morphable.builtin import builtin
from models.nearest.method import Nearest
from models.networks.blocks import pictures_in, pictures_out
from models.training import HELD_OUT, TRAIN, About, Bundle, Plan, Segment, write_bundle
from models.training.devices import opened
from models.training.engine import train
from tests.helpers.pasted import paste

FRAMES, SIDE, SLOTS = 48, 64, 12
CONFIG = replace(renderer_config("smoke"), neighbours=5)


def meshes(opening: np.ndarray) -> tuple[Meshes, Tensor]:
    """Of a head that stands still and opens its mouth so far (T,)."""
    frames, jaw = len(opening), builtin().names.index("jaw_open")
    met = template(frames)
    still = Fit(*(values[:1].expand(frames, -1) for values in met.fit))
    expression = torch.zeros(frames, 64)
    expression[:, jaw] = torch.from_numpy(opening)
    who, pose = torch.zeros(80), (still.rotation, still.translation, still.camera)
    at = places(who, *pose, met.shot, met.seen, 25.0, SIDE)
    seen = mesh_pictures(who, who, expression, *pose, still.light, at, SIDE)
    return seen, mesh_points(who, expression, *pose, at, SIDE)


def rows(seed: int = 0) -> dict[str, np.ndarray]:
    """Canvases on which a dark mouth with light teeth opens and shuts on skin."""
    draw = np.random.default_rng(seed)
    opening = (0.5 + 0.5 * np.sin(np.arange(FRAMES) * 0.9)).astype("f4")
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    target = np.full((FRAMES, SIDE, SIDE, 3), (200, 150, 130), np.uint8)
    mesh, cover = np.full_like(target, 128), np.full((FRAMES, SIDE, SIDE), 255, np.uint8)
    for frame, gap in enumerate(opening):
        hole = ((x - 32) / 11) ** 2 + ((y - 32) / (1 + 8 * gap)) ** 2 < 1
        target[frame][hole] = (60, 20, 25)
        target[frame][hole & (y < 32)] = (230, 225, 215)
        cover[frame][hole] = 0
    mask = np.zeros((FRAMES, SIDE, SIDE), np.uint8)
    mask[:, 12:56, 10:54] = 255
    key = np.zeros((FRAMES, 120), np.float32)
    key[:, ::3] = 10 * opening[:, None] + 0.05 * draw.standard_normal((FRAMES, 40))
    slots = np.sort(draw.choice(FRAMES - 8, SLOTS, replace=False))
    seen, points = meshes(opening)
    return {
        "target": target,
        "mask": mask,
        "mesh": mesh,
        "cover": cover,
        "corner": seen.corners.numpy(),
        "share": seen.shares.numpy(),
        "point": points.numpy(),
        "turn": np.zeros((FRAMES, 3), np.float32),
        "key": key,
        "slot_keys": key[slots],
        "slot_patches": target[slots],
        "slot_rows": slots,
    }


def bundle(folder: Path, config: RendererConfig = CONFIG, **plan: object) -> Bundle:
    cut = FRAMES - 10
    runs = (Segment("a", 0, cut, 25.0, TRAIN), Segment("a", cut, FRAMES, 25.0, HELD_OUT, cut))
    about = About("memface", "renderer", "smoke", config.as_dict(), seed=4, plan=plan, segments=runs)
    return Bundle(write_bundle(folder / "renderer.bundle", about, rows()))


def test_it_learns(tmp_path: Path) -> None:
    trainee = RendererTrainee(CONFIG, bundle(tmp_path, steps=120, averaged_steps=20), None)
    with opened("cpu") as place:
        done = train(trainee, tmp_path / "state", "x", place=place)
    curve = done.curves["held_out/loss"][:, 1]
    assert curve[-1] < 0.35 * curve[0]
    assert done.best.judged["mouth_ssim"] > 0.6
    assert {name.split("/")[0] for name in done.best.tensors} == {"renderer"}


def test_a_critic_plays_from_its_time_on(tmp_path: Path) -> None:
    config = replace(CONFIG, adversarial=0.1, told_from=0.5)
    trainee = RendererTrainee(config, bundle(tmp_path, config, steps=8, evaluate_every=8), None)
    assert [turn.name for turn in trainee.turns(3)] == ["draw"]
    assert [turn.name for turn in trainee.turns(4)] == ["tell", "play"]
    with opened("cpu") as place:
        done = train(trainee, tmp_path / "state", "x", place=place)
    assert {"tell/loss", "play/fooling"} <= set(done.curves)
    # Drawn once for both turns: the same as drawn for each.
    again = _Forgetful(config, trainee.bundle, None)
    with opened("cpu") as place:
        twice = train(again, tmp_path / "again", "x", place=place)
    assert all(torch.equal(curve, twice.curves[name]) for name, curve in done.curves.items())
    assert all(torch.equal(value, twice.best.tensors[name]) for name, value in done.best.tensors.items())


class _Forgetful(RendererTrainee):
    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self._drawn = None
        return super().losses(turn, batch)


def test_batches_follow_from_step_and_seed(tmp_path: Path) -> None:
    trainee = RendererTrainee(CONFIG, bundle(tmp_path), None)
    one, again, other = (trainee.batch(3, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert {len(value) for value in one.values()} == {trainee.plan.batch}


def test_no_row_is_given_its_own_picture_or_a_neighbours(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    trainee = RendererTrainee(replace(CONFIG, key_noise_mm=0.0, shifted=0.0), made, None)
    slots = trainee._slots
    held_out = set(made.rows(HELD_OUT).tolist())
    for split in (TRAIN, HELD_OUT):
        asked = made.rows(split)
        distances, which = slots.find(asked, slots.asked(asked))
        seen = np.where(np.isfinite(distances[:, :-1].numpy()), slots.rows[which].numpy(), -99)
        assert (np.abs(seen - asked[:, None]) > 5).all()
        assert (seen >= 0).any()
        assert not held_out & set(seen.reshape(-1).tolist()), "what it is judged by"


def test_a_bundle_that_lacks_something_is_refused(tmp_path: Path) -> None:
    about = About("memface", "renderer", "smoke", CONFIG.as_dict())
    made = Bundle(write_bundle(tmp_path / "b", about, {"target": np.zeros((1, 2), "f4")}))
    with pytest.raises(ValueError, match=RENDERER_ARRAYS[1]):
        RendererTrainee(CONFIG, made, None)
    with pytest.raises(ValueError, match="slots of 64 pixels"):
        RendererTrainee(replace(CONFIG, side=32), bundle(tmp_path), None)
    with pytest.raises(ValueError, match="no run of 99 frames"):
        RendererTrainee(replace(CONFIG, window=99), bundle(tmp_path), None)


@pytest.mark.parametrize("preset", ["smoke", "cpu", "gpu", "gpu-512"])
def test_presets_say_all_about_themselves(preset: str) -> None:
    config = renderer_config(preset)
    assert RendererConfig.from_dict(config.as_dict()) == config
    coarsest = config.side // 2 ** len(config.widths)
    assert coarsest * 2 ** len(config.widths) == config.side
    rows_, _ = mouth_box(config.side)
    assert rows_.start % 2 ** len(config.widths) == 0, "the mouth's box lies on whole cells at the bottleneck"
    with pytest.raises(ValueError, match="no preset"):
        renderer_config("huge")


def test_what_is_hidden_is_never_read() -> None:
    made = {name: torch.from_numpy(value) for name, value in rows().items()}
    told = [made[name][:4] for name in ("target", "mask", "mesh", "cover")]
    hidden = (told[1] > 0)[..., None]
    other = torch.where(hidden, 255 - told[0], told[0])
    assert not torch.equal(other, told[0])
    for spread in (0, 3):
        assert torch.equal(conditions(*told, spread), conditions(other, *told[1:], spread))
    soft = told[1].float() / 255 * 1e-3
    assert torch.equal(conditions(told[0], soft, *told[2:]), conditions(other, soft, *told[2:]))


def test_a_window_is_the_same_frame_by_frame() -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, recurrent=True, memory=False)
    network = Renderer(config).eval()
    inputs = torch.randn(6, 8, SIDE, SIDE)
    with torch.no_grad():
        whole, _ = network(inputs, None, 6)
        state, parts = None, []
        for at in range(6):
            part, state = network(inputs[at : at + 1], None, 1, state)
            parts.append(part)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)
    assert not torch.allclose(network(inputs[5:], None, 1)[0], whole[5:], atol=1e-4)


# At dubbing -------------------------------------------------------------------------------------------


def person(memory: bool = True) -> Person:
    draw = torch.Generator().manual_seed(5)
    mouths = torch.from_numpy(
        builtin().mouth_vertices(np.zeros(80, "f4"), 0.3 * torch.randn(9, 64, generator=draw).numpy())
    )
    patches = torch.randint(0, 256, (9, 48, 48, 3), generator=draw).to(torch.uint8)
    _, points = meshes(np.linspace(0, 1, 9).astype("f4"))
    kept = Memory(mouths, patches, points, torch.zeros(9, 3))
    return Person(torch.zeros(80), torch.zeros(80), kept if memory else None, {})


def template(frames: int = 10) -> Template:
    t = torch.arange(frames) / 25
    turn = torch.stack([0.05 * torch.sin(t), 0.2 * torch.sin(2 * t), 0.05 * t], 1)
    move = torch.stack([10 * t, 5 * t, 500 + 0 * t], 1)
    camera = torch.tensor([[300.0, 100.0, 80.0]]).expand(frames, -1)
    fit = Fit(turn, move, camera, torch.zeros(frames, 27), torch.zeros(frames, 64))
    return Template(fit, torch.zeros(frames), torch.ones(frames, dtype=torch.bool), 160, 200, 25.0)


def view(met: Template, pictures: Tensor, start: int = 0, stop: int | None = None) -> View:
    at = torch.arange(len(pictures))[start:stop]
    draw = torch.Generator().manual_seed(6)
    motion = Motion(0.3 * torch.randn(len(pictures), 64, generator=draw)[at])
    fit = Fit(*(values[at] for values in met.fit))
    return View(pictures[at], at, torch.zeros(len(at)), fit, motion, torch.ones(len(at)))


def painter(config: RendererConfig = CONFIG) -> Painter:
    torch.manual_seed(1)
    weights = {f"renderer/{name}": value for name, value in Renderer(config).state_dict().items()}
    return Painter(config, weights, person(config.memory), "cpu")


def pictures(frames: int = 10) -> Tensor:
    draw = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (frames, 160, 200, 3), generator=draw).to(torch.uint8)


@pytest.mark.parametrize("method", ["memface", "nearest"])
def test_pixels_under_the_mask_do_not_matter(method: str) -> None:
    """Whatever the template's mouth shows, the same is drawn, bit for bit, and nothing else changes."""
    met, shown = template(), pictures()
    speaker = painter() if method == "memface" else Nearest().speaker(Nearest().config("smoke"), {}, person())
    speaker.meet(met)
    first = speaker.draw(view(met, shown))
    pasted = paste(shown, first.patches, first.places, first.alpha)
    white = torch.full_like(first.patches, 255)
    # Every pixel that is drawn on at all, down to the faintest edge of the feather.
    reach = paste(torch.zeros_like(shown), white, first.places, (first.alpha > 0).float()).amax(-1) > 0
    other = torch.where(reach[..., None], 255 - shown, shown)
    assert reach.float().mean() > 0.05
    second = speaker.draw(view(met, other))
    assert torch.equal(first.patches, second.patches)
    assert torch.equal(first.alpha, second.alpha)
    assert torch.equal(pasted[~reach], shown[~reach])
    again = paste(other, second.patches, second.places, second.alpha)
    assert torch.equal(again[~reach], shown[~reach])


def test_blocks_do_not_show() -> None:
    met, shown = template(), pictures()
    config = replace(CONFIG, recurrent=True)
    one, two = painter(config), painter(config)
    one.meet(met)
    two.meet(met)
    whole = one.draw(view(met, shown))
    parts = [two.draw(view(met, shown, a, b)) for a, b in ((0, 3), (3, 4), (4, 10))]
    away = torch.cat([p.patches for p in parts]).int() - whole.patches.int()
    assert away.abs().max() <= 1
    jumped = view(met, shown)
    one.meet(met)
    jumped = jumped._replace(run=torch.tensor([0] * 5 + [1] * 5))
    assert not torch.equal(one.draw(jumped).patches[5:], whole.patches[5:]), "a jump forgets"


def test_who_does_not_speak_is_left_alone() -> None:
    met, shown = template(), pictures()
    speaker = painter(replace(CONFIG, memory=False))
    speaker.meet(met)
    drawn = speaker.draw(view(met, shown)._replace(speaks=torch.tensor([0.0] * 5 + [1.0] * 5)))
    assert (drawn.alpha[:5] == 0).all()
    assert torch.equal(paste(shown, drawn.patches, drawn.places, drawn.alpha)[:5], shown[:5])
    assert drawn.alpha[5:].max() == 1


def test_memory_is_needed_and_used() -> None:
    with pytest.raises(ValueError, match="remember this person"):
        Painter(CONFIG, {}, person(memory=False), "cpu")
    one = painter()
    met, shown = template(), pictures()
    one.meet(met)
    with_it = one.draw(view(met, shown)).patches
    assert one._slots is not None
    one._slots._patches = one._slots._patches.flip(0)
    assert not torch.equal(one.draw(view(met, shown)).patches, with_it)


def test_a_slot_that_is_not_there_is_not_shown() -> None:
    """Found in fewer places than are read, a slot may stand for the very frame that is drawn."""
    made = {name: torch.from_numpy(value[:2]) for name, value in rows().items()}
    patches, points = (
        made["target"][:, None].expand(-1, 2, -1, -1, -1),
        made["point"][:, None].expand(-1, 2, -1, -1),
    )
    distances = torch.tensor([[0.1, torch.inf, torch.inf], [torch.inf] * 3])
    seen = laid_over(patches, points, made["corner"], made["share"], distances)
    assert seen.pictures[0, 0].abs().max() > 0.1
    assert (seen.pictures[0, 1] == 0).all()
    assert (seen.pictures[1] == 0).all()
    network = Renderer(CONFIG)
    told = [made[name] for name in ("target", "mask", "mesh", "cover")]
    with torch.no_grad():
        assert torch.isfinite(network(conditions(*told), seen)[0]).all()


def test_bytes_there_and_back() -> None:
    every = torch.arange(256).to(torch.uint8).reshape(1, 16, 16, 1).expand(-1, -1, -1, 3)
    assert torch.equal(pictures_out(pictures_in(every)), every)


def test_a_plan_in_a_bundle_changes_single_numbers(tmp_path: Path) -> None:
    trainee = RendererTrainee(CONFIG, bundle(tmp_path, steps=7), None)
    assert trainee.plan == replace(CONFIG.plan, steps=7, seed=4)
    assert isinstance(trainee.plan, Plan)
