"""DINet's networks to the unit, its warp against the sampler it stands for, and its painter at work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.canvas.framing import TALL
from models.dinet.adaat import AdaAT, mixed, warped
from models.dinet.blocks import folded
from models.dinet.config import DINetConfig, Widths, dinet_config
from models.dinet.critics import Critic
from models.dinet.hearing import evened, listen_symbols, silent_symbols
from models.dinet.losses import drawing, fooled, told_apart
from models.dinet.method import DINet, DINetSpeaker
from models.dinet.network import Drawer
from models.dinet.picture import columns, hole, mouth, squared
from models.losses import Perception
from models.memface.expression import new_expression
from models.methods import Fit, Heard, Motion, Person, Template, View
from models.morphable.builtin import builtin
from tests.bench.straightforward import in_three_dimensions, straightforward
from tests.helpers.pasted import paste

SMOKE, SIDE = dinet_config("smoke"), 52
PARTS = {
    "source": 379_392,
    "reference": 417_024,
    "align": 7_049_344,
    "sound": 365_696,
    "before": 4_724_736,
    "warp": 328_960,
    "after": 4_724_736,
    "decoder": 1_200_387,
}


def size(network: torch.nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


# Networks ---------------------------------------------------------------------------------------------


def test_the_papers_networks_to_the_unit() -> None:
    config = dinet_config("gpu")
    with torch.device("meta"):
        drawer = Drawer(config.widths)
        critic, clips = Critic(3, config.losses.critics), Critic(15, config.losses.critics)
        scores = critic(torch.empty(1, 3, 416, 320))
    assert {name: size(part) for name, part in drawer.named_children()} == PARTS
    assert size(drawer) == 19_190_275
    assert (size(critic), size(clips)) == (2_628_737, 2_653_313)
    assert scores.shape == (1, 1, 46, 34)


@pytest.mark.parametrize(("side", "wide"), [(104, 80), (208, 160), (416, 320)])
def test_the_papers_maps(side: int, wide: int) -> None:
    rows, across = TALL.box(side)
    at = columns(side)
    assert at.stop - at.start == wide
    assert (rows.start, across.start - at.start) == (side * 32 // 104, side * 8 // 104)
    assert rows.stop - rows.start == across.stop - across.start == side * 64 // 104
    with torch.device("meta"):
        drawer = Drawer(Widths()).eval()
        kept = drawer.remember(torch.empty(1, 5, 3, side, wide))
        source = drawer.source(torch.empty(2, 3, side, wide))
        assert kept.ready.shape == (1, 256, side // 4, wide // 4) == (1, 256, *source.shape[2:])
        code = drawer.code(source, torch.empty(2, 5, 29), kept)
        assert code.shape == (2, 256)
        assert drawer.decoder(torch.cat([source, source], 1), code).shape == (2, 3, side, wide)


def test_what_travels_is_small() -> None:
    assert size(Drawer(dinet_config("cpu").widths)) <= 5_900_000


def test_a_set_kept_is_a_set_drawn_from_anew() -> None:
    torch.manual_seed(0)
    drawer = Drawer(SMOKE.widths).eval()
    source, told = torch.rand(4, 3, SIDE, 40), torch.randn(4, 5, 120)
    references = torch.rand(2, 5, 3, SIDE, 40)
    with torch.no_grad():
        kept = drawer.remember(references)
        whole = drawer(source, told, kept.repeated(2))
        halves = [
            drawer(source[k : k + 2], told[k : k + 2], drawer.remember(references[k // 2][None]))
            for k in (0, 2)
        ]
    assert torch.allclose(whole, torch.cat(halves), atol=1e-5)


def test_what_draws_is_the_straightforward_form() -> None:
    """References kept, norms folded, warps in two dimensions: in float32 nobody could tell."""
    torch.manual_seed(3)
    drawer = Drawer(replace(SMOKE.widths, heard=29, norm=True, told=False, compat=True))
    source, told, references = (
        torch.rand(3, 3, SIDE, 40),
        torch.randn(3, 5, 29),
        torch.rand(1, 5, 3, SIDE, 40),
    )
    for _ in range(3):  # norms that stand for something
        drawer(source, told, drawer.remember(references))
    wanted = [straightforward(drawer.eval(), source[k][None], told[k][None], references) for k in range(3)]
    with torch.no_grad():
        plain = drawer(source, told, drawer.remember(references))
        folded(drawer)
        quick = drawer(source, told, drawer.remember(references))
    assert not any(isinstance(one, torch.nn.BatchNorm1d) for one in drawer.sound[0])
    assert torch.allclose(plain, torch.cat(wanted), atol=1e-4)
    assert torch.allclose(quick, plain, atol=1e-4)


@pytest.mark.parametrize(
    "changes", [{"deform": False}, {"inpaint": False}, {"warp": "attention"}, {"warp": "flow"}]
)
def test_variants_draw_and_learn(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    drawer = Drawer(replace(SMOKE.widths, **changes))  # type: ignore[arg-type]
    source, told = torch.rand(2, 3, SIDE, 40, requires_grad=True), torch.randn(2, 5, 120)
    references = torch.rand(1, 5, 3, SIDE, 40, requires_grad=True)
    made = drawer(source, told, drawer.remember(references))
    made.square().mean().backward()
    assert made.shape == source.shape
    assert references.grad is not None
    assert references.grad.abs().max() > 0
    with pytest.raises(ValueError, match="not 'magic'"):
        Drawer(replace(SMOKE.widths, warp="magic"))


# The warp ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 16, 256])
def test_compat_is_the_sampler_in_three_dimensions(channels: int) -> None:
    draw = torch.Generator().manual_seed(channels)
    x = torch.randn(2, channels, 13, 10, generator=draw)
    told = [torch.rand(2, channels, generator=draw) * 2, torch.randn(2, channels, generator=draw)]
    shift = 0.4 * torch.randn(2, channels, 2, generator=draw)
    if channels > 1:  # of one channel the third coordinate has no end points
        # In half the digits that sampler itself is wrong by more at the last channel's coordinate.
        wanted = in_three_dimensions(*(one.double() for one in (x, *told, shift)))
        away = warped(x, *told, shift, compat=True) - wanted
        assert away.abs().max() < 1e-4
    assert warped(x, *told, shift).shape == x.shape


def test_compat_mixes_neighbours_most_at_the_ends() -> None:
    channels = 256
    whole = mixed(torch.eye(channels)[None, :, :, None])[0, :, :, 0]
    assert torch.allclose(whole[0, :2], torch.tensor([0.5, 0.0]), atol=1e-3)
    assert torch.allclose(whole[1, :2], torch.tensor([0.496, 0.504]), atol=1e-2)
    assert torch.allclose(whole[-1, -2:], torch.tensor([0.0, 0.5]), atol=1e-3)
    assert whole[127, 127] > 0.99


def test_nothing_told_is_nothing_moved() -> None:
    torch.manual_seed(0)
    warp, features = AdaAT(6, 4), torch.randn(2, 6, 9, 7)
    for head in (warp.scale, warp.turn, warp.shift):
        torch.nn.init.zeros_(head.weight)
    assert torch.allclose(warp(features, features, torch.randn(2, 4)), features, atol=1e-5)


def test_channels_are_moved_each_on_its_own() -> None:
    features = torch.zeros(1, 3, 5, 9)
    features[:, :, 2, 4] = 1
    shift = torch.tensor([[[0.25, 0.0], [0.0, 0.5], [0.0, 0.0]]])  # one column of nine, one row of five
    out = warped(features, torch.ones(1, 3), torch.zeros(1, 3), shift)
    assert torch.allclose(out[0, 0, 2, 3], torch.tensor(1.0))
    assert torch.allclose(out[0, 1, 1, 4], torch.tensor(1.0))
    assert torch.allclose(out[0, 2], features[0, 2])
    far = warped(features, torch.ones(1, 3), torch.zeros(1, 3), torch.full((1, 3, 2), 0.99))
    assert (far[..., -2:, -4:] == 0).all(), "nothing is outside"


# Losses -----------------------------------------------------------------------------------------------


def test_least_squares() -> None:
    right, wrong = torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)
    assert float(told_apart(right, wrong)) == 0
    assert float(told_apart(wrong, right)) == 1
    assert float(fooled(right)) == 0


def test_the_whole_crop_counts_and_the_mouth_more() -> None:
    true = torch.zeros(1, 3, 104, 80)
    perception = Perception()
    missed: list[float] = []
    for at in (slice(56, 60), slice(2, 6)):  # of the mouth, and of the eyes
        made = true.clone()
        made[..., at, 38:42] = 1
        missed.append(float(drawing(made, true, perception, SMOKE.losses)["loss"]))
        plain = drawing(made, true, perception, dinet_config("gpu").losses)
        assert set(plain) == {"features", "loss"}
        assert float(plain["loss"]) == pytest.approx(10 * float(plain["features"]))
    assert missed[0] > 2 * missed[1] > 0
    assert hole(104) == (slice(32, 96), slice(8, 72))
    assert mouth(104) == (slice(48, 80), slice(24, 56))
    assert squared(true).shape == (1, 3, 104, 104)


# Hearing ----------------------------------------------------------------------------------------------


def symbols(count: int) -> Tensor:
    return torch.log_softmax(torch.randn(count, 29, generator=torch.Generator().manual_seed(1)) * 3, -1)


def blocks(rows: Tensor, step: int) -> Iterator[Heard]:
    for part in rows.split(step):
        yield Heard(part, torch.zeros(len(part)), torch.zeros(len(part)))


@pytest.mark.parametrize("count", [1, 3, 41])
def test_symbols_are_heard_alike_whatever_the_blocks(count: int) -> None:
    rows = symbols(count)
    whole = torch.cat([motion.heard for motion in listen_symbols(blocks(rows, count))])  # type: ignore[misc]
    assert whole.shape == ((count + 1) // 2, 145)
    for step in (1, 7):
        parts = list(listen_symbols(blocks(rows, step)))
        assert torch.allclose(torch.cat([one.heard for one in parts]), whole, atol=1e-6)  # type: ignore[misc]
        assert all(one.expression.shape == (len(one.heard), 64) for one in parts)  # type: ignore[arg-type]


def test_dubbing_hears_what_training_heard() -> None:
    rows = symbols(40)
    # As bundles have them: read at each frame's middle, and so that of two rows.
    at = (torch.arange(20)[:, None] + torch.arange(-2, 3)).clamp(0, 19)
    trained = evened(rows.unflatten(0, (20, 2)).mean(1)[at])
    dubbed = torch.cat([motion.heard for motion in listen_symbols(blocks(rows, 6))])  # type: ignore[misc]
    assert torch.allclose(trained.flatten(1), dubbed, atol=0.05)
    assert silent_symbols().shape == (145,)
    assert silent_symbols().reshape(5, 29).argmax(1).tolist() == [0] * 5


# At dubbing -------------------------------------------------------------------------------------------


def person(seed: int = 5, side: int = SIDE) -> Person:
    draw = torch.Generator().manual_seed(seed)
    shown = torch.randint(0, 256, (5, side, side, 3), generator=draw).to(torch.uint8)
    return Person(torch.zeros(80), torch.zeros(80), None, {}, shown)


def template(frames: int = 10) -> Template:
    t = torch.arange(frames) / 25
    turn = torch.stack([0.05 * torch.sin(t), 0.2 * torch.sin(2 * t), 0.05 * t], 1)
    move = torch.stack([10 * t, 5 * t, 500 + 0 * t], 1)
    camera = torch.tensor([[300.0, 100.0, 80.0]]).expand(frames, -1)
    fit = Fit(turn, move, camera, torch.zeros(frames, 27), torch.zeros(frames, 64))
    return Template(fit, torch.zeros(frames), torch.ones(frames, dtype=torch.bool), 160, 200, 25.0)


def view(met: Template, pictures: Tensor, start: int = 0, stop: int | None = None, jaw: float = 0.5) -> View:
    at = torch.arange(len(pictures))[start:stop]
    around = torch.zeros(len(pictures), 5, 64)
    around[..., builtin().names.index("jaw_open")] = jaw
    motion = Motion(around[at, 2], around=around[at])
    fit = Fit(*(values[at] for values in met.fit))
    return View(pictures[at], at, torch.zeros(len(at)), fit, motion, torch.ones(len(at)))


def pictures(frames: int = 10) -> Tensor:
    draw = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (frames, 160, 200, 3), generator=draw).to(torch.uint8)


def louder() -> Drawer:
    """A network that minds what it is told: blocks begin deaf."""
    torch.manual_seed(1)
    drawer = Drawer(SMOKE.widths)
    for name, value in drawer.named_parameters():
        if ".told." in name:
            torch.nn.init.normal_(value, 0, 0.3)
    return drawer


def speaker(who: Person | None = None, config: DINetConfig = SMOKE) -> DINetSpeaker:
    ear = new_expression(config.listening).state_dict()
    weights = {
        "expression": {f"expression/{name}": value for name, value in ear.items()},
        "frame": {f"drawer/{name}": value for name, value in louder().state_dict().items()},
    }
    return DINet().speaker(config, weights, who or person())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_pixels_under_the_mask_do_not_matter(precision: str) -> None:
    """Whatever the template's mouth shows, the same is drawn, bit for bit, and nothing else changes."""
    met, shown = template(), pictures()
    last = SMOKE.courses[-1]
    courses = (*SMOKE.courses[:-1], replace(last, plan=replace(last.plan, precision=precision)))
    one = speaker(config=replace(SMOKE, courses=courses))
    one.meet(met)
    first = one.draw(view(met, shown))
    assert first.patches.shape == (10, SIDE, SIDE, 3)
    white = torch.full_like(first.patches, 255)
    reach = paste(torch.zeros_like(shown), white, first.places, (first.alpha > 0).float()).amax(-1) > 0
    other = torch.where(reach[..., None], 255 - shown, shown)
    assert reach.float().mean() > 0.02
    second = one.draw(view(met, other))
    assert torch.equal(first.patches, second.patches)
    assert torch.equal(first.alpha, second.alpha)
    pasted = paste(shown, first.patches, first.places, first.alpha)
    assert torch.equal(pasted[~reach], shown[~reach])


def test_another_mouth_and_other_references_are_drawn() -> None:
    met, shown = template(), pictures()
    one, stranger = speaker(), speaker(person(6))
    for each in (one, stranger):
        each.meet(met)
    first = one.draw(view(met, shown))
    inside = first.alpha > 0.9
    wide = one.draw(view(met, shown, jaw=1.0))
    assert (wide.patches.int() - first.patches.int()).abs()[inside].float().mean() > 0.1
    others = stranger.draw(view(met, shown))
    assert (others.patches.int() - first.patches.int()).abs()[inside].float().mean() > 0.1
    again = speaker()
    again.meet(met)
    assert torch.equal(again.draw(view(met, shown)).patches, first.patches)


def test_blocks_do_not_show() -> None:
    met, shown = template(), pictures()
    one = speaker()
    one.meet(met)
    whole = one.draw(view(met, shown))
    parts = [one.draw(view(met, shown, a, b)) for a, b in ((0, 3), (3, 4), (4, 10))]
    away = torch.cat([p.patches for p in parts]).int() - whole.patches.int()
    assert away.abs().max() <= 1


def test_who_does_not_speak_is_left_alone() -> None:
    met, shown = template(), pictures()
    one = speaker()
    one.meet(met)
    seen = one.draw(view(met, shown)._replace(speaks=torch.tensor([0.0] * 5 + [1.0] * 5)))
    assert (seen.alpha[:5] == 0).all()
    assert seen.alpha[5:].max() == 1


def test_a_person_must_be_shown() -> None:
    for references in (None, torch.zeros(3, SIDE, SIDE, 3, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="5 pictures of the person"):
            speaker(person()._replace(references=references))


def test_symbols_alone_drive_it() -> None:
    config = replace(SMOKE, hearing="symbols", widths=replace(SMOKE.widths, heard=29))
    torch.manual_seed(0)
    own = Drawer(config.widths)
    for name, value in own.named_parameters():
        if ".told." in name:
            torch.nn.init.normal_(value, 0, 0.3)
    weights = {"frame": {f"drawer/{name}": value for name, value in own.state_dict().items()}}
    one = DINet().speaker(config, weights, person())
    met, shown = template(), pictures()
    one.meet(met)
    seen = view(met, shown)
    spoken = torch.cat([m.heard for m in one.listen(blocks(symbols(20), 5))])  # type: ignore[misc]
    motions = [Motion(torch.zeros(10, 64), heard=k) for k in (one.silence.expand(10, -1), spoken)]
    patches = [one.draw(seen._replace(motion=motion)).patches for motion in motions]
    assert not torch.equal(*patches)


# What it says of itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["smoke", "cpu", "gpu"])
def test_presets_say_all_about_themselves(preset: str) -> None:
    method = DINet()
    config = method.config(preset)
    assert method.config_from(json.loads(json.dumps(config.as_dict()))) == config
    stages = method.stages(config)
    last = stages[-1]
    # Only where there are bundled weights can anybody be drawn without training.
    known = "dinet" if preset == "cpu" else None
    assert (last.personal, last.general, last.framing) == (True, known, TALL)
    assert last.optional == (known is not None)
    assert last.side == config.side
    assert set(method.perceives) >= {course.name for course in config.courses}
    assert [one.name for one in stages if one.personal] == (
        ["expression", last.name] if config.hearing == "ear" else [last.name]
    )
    assert last.teachers == (("sync",) if preset == "gpu" else ())
    assert all(one.side % 52 == 0 for one in stages if one.name != "expression")
    with pytest.raises(ValueError, match="no preset"):
        method.config("huge")
    with pytest.raises(ValueError, match="no stage 'lips'"):
        config.course("lips")
