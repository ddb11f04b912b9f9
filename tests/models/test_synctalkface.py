"""SyncTalkFace: the paper's networks to the unit, what they never see, and how it dubs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.canvas.framing import FACE
from models.canvas.mask import wider
from models.memory.lips import AudioLipMemory
from models.methods import Fit, Heard, Motion, Person, Template, View, find_method
from models.synctalkface.config import PRESETS, TalkerConfig, talker_config
from models.synctalkface.listening import FLOOR, mel_windows
from models.synctalkface.method import SyncTalkFace
from models.synctalkface.network import Critic, Decoder, Ear, FaceEncoder, LipEncoder, MelEncoder
from models.synctalkface.painter import Painter, addresses, mouths_by_slot
from models.synctalkface.talker import Talker, _other_side, hidden_on, part_drawn, shown
from tests.helpers.expressions import SMOKE as LISTENING
from tests.helpers.expressions import living, sound
from tests.helpers.pasted import paste

SMOKE, GPU = talker_config("smoke"), talker_config("gpu")
# As the paper has it in all but its widths.
PAPERS = replace(
    GPU,
    side=32,
    width=16,
    slots=9,
    face=((4, 0), (6, 1), (8, 1), (12, 1)),
    drawn=((12, 1), (8, 1), (8, 1), (6, 1)),
    last=4,
    lips=((4, 0), (6, 1), (8, 1)),
)


def counted(network: torch.nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


# The layer lists of the paper -----------------------------------------------------------------------------


def conv(into: int, out: int, kernel: int, depth: int = 1) -> int:
    """Weights and biases."""
    return into * out * kernel**2 * depth + out


def normed(into: int, out: int, kernel: int) -> int:
    return conv(into, out, kernel) + 2 * out


def same(width: int, times: int) -> int:
    return times * normed(width, width, 3)


def test_audio_encoder_has_the_papers_size() -> None:
    steps = [(1, 32, 2), (32, 64, 2), (64, 128, 2), (128, 256, 1)]
    told = sum(normed(a, b, 3) + same(b, times) for a, b, times in steps)
    told += normed(256, 512, 3) + normed(512, 512, 1)
    encoder = MelEncoder(GPU)
    assert counted(encoder) == told == 2_812_672
    assert encoder(torch.zeros(2, 16, 80)).shape == (2, 512)
    sizes = [tuple(one.shape[-2:]) for one in _through(encoder.body, torch.zeros(2, 1, 80, 16))]
    assert {(27, 16), (9, 6), (3, 3), (1, 1)} <= set(sizes)


def _through(layers: Any, x: Tensor) -> Iterator[Tensor]:
    for layer in layers:
        x = layer(x)
        yield x


def test_lip_encoder_has_the_papers_size() -> None:
    steps = [(64, 64, 3), (64, 128, 2), (128, 256, 2), (256, 512, 1)]
    told = conv(3, 64, 7, 5) + sum(normed(a, b, 3) + same(b, times) for a, b, times in steps)
    told += normed(512, 512, 4) + normed(512, 512, 1)
    encoder = LipEncoder(GPU).eval()
    assert counted(encoder) == told == 10_043_520
    assert encoder(torch.zeros(2, 3, 5, 128, 128)).shape == (2, 512)


def test_face_encoder_and_decoder_have_the_papers_size() -> None:
    steps = [(16, 32, 2), (32, 64, 3), (64, 128, 2), (128, 256, 2), (256, 512, 1)]
    told = normed(6, 16, 7) + sum(normed(a, b, 3) + same(b, times) for a, b, times in steps)
    told += normed(512, 512, 4) + normed(512, 512, 1)
    face, decoder = FaceEncoder(GPU).eval(), Decoder(GPU).eval()
    assert counted(face) == told == 10_006_064
    ups = [(1024, 512, 3, 2), (768, 384, 3, 2), (512, 256, 3, 2), (320, 128, 3, 2), (160, 64, 3, 2)]
    told = normed(512, 512, 1) + normed(1024, 512, 4) + same(512, 1)
    told += sum(normed(a, b, kernel) + same(b, times) for a, b, kernel, times in ups)
    told += normed(80, 32, 3) + conv(32, 3, 1)
    assert counted(decoder) == told == 28_984_323
    with torch.no_grad():
        features = face(torch.zeros(1, 6, 128, 128))
        made = decoder(torch.zeros(1, 512), features)
    assert [one.shape[1:] for one in features] == [
        (c, s, s) for c, s in ((16, 128), (32, 64), (64, 32), (128, 16), (256, 8), (512, 4), (512, 1))
    ]
    assert made.shape == (1, 3, 128, 128)
    assert made.abs().max() <= 1


def test_critic_and_memory_have_the_papers_size() -> None:
    steps = [(3, 32, 7), (32, 64, 5), (64, 64, 5), (64, 128, 5), (128, 128, 5), (128, 256, 5), (256, 256, 5)]
    told = sum(conv(*step) for step in steps) + conv(256, 512, 3) + 3 * conv(512, 512, 3)
    critic = Critic()
    assert counted(critic) == told + conv(512, 512, 4) + conv(512, 512, 1) + conv(512, 1, 1) == 15_948_801
    assert critic(torch.zeros(1, 3, 64, 128)).shape == (1, 1, 1, 1)
    assert counted(AudioLipMemory(96, 512)) == 1_148_416


def test_a_longer_window_is_many_short_ones() -> None:
    torch.manual_seed(0)
    for config, side in ((PAPERS, 32), (SMOKE, 36)):
        encoder, frames = LipEncoder(config).eval(), torch.randn(2, 3, 9, side, side)
        with torch.no_grad():
            whole = encoder(frames).reshape(2, 5, -1)
            parts = torch.stack([encoder(frames[:, :, k : k + 5]) for k in range(5)], 1)
        assert torch.allclose(whole, parts, atol=1e-5)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_say_all_about_themselves(preset: str) -> None:
    method = SyncTalkFace()
    config = method.config(preset)
    assert method.config_from(config.as_dict()) == config
    drawing = method.stages(config)[-1]
    assert (drawing.side, drawing.framing) == (config.talker.side, FACE)
    assert drawing.optional == (preset == "cpu"), "nobody draws by weights that are not there"
    with pytest.raises(ValueError, match="no preset"):
        talker_config("huge")
    with pytest.raises(ValueError, match="hides is one of"):
        replace(config.talker, hides="nothing")
    with pytest.raises(ValueError, match="has no 'wings'"):
        TalkerConfig.from_dict({**config.talker.as_dict(), "wings": 2})


def test_what_travels_is_small() -> None:
    talker = Talker(talker_config("cpu"))
    assert sum(counted(network) for network in talker.networks.values()) < 5_900_000
    assert not set(talker.networks) & set(SyncTalkFace.training_only)


# What is seen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [SMOKE, PAPERS])
def test_hidden_pixels_are_never_seen(config: TalkerConfig) -> None:
    draw = torch.Generator().manual_seed(0)
    pictures, reference = torch.rand(2, 3, 3, 64, 64, generator=draw) * 2 - 1
    covered = torch.zeros(3, 1, 64, 64)
    covered[:, :, 26:60, 20:50] = 1  # a turned head's, which begins above the middle
    hidden = hidden_on(covered, config, 4)
    assert (hidden >= wider(covered, 4)).all()
    assert bool(hidden[:, :, 32:].all()) == (config.hides == "half")
    other = torch.where(hidden > 0, -pictures, pictures)
    assert not torch.equal(other, pictures)
    seen = [shown(one, hidden, reference, config) for one in (pictures, other)]
    assert torch.equal(*seen)
    assert seen[0].shape[1] == config.inputs
    assert part_drawn(pictures, config).shape[-1] == (36 if config.draws == "mouth" else 64)


def test_a_mirror_swaps_the_corners_of_the_mouth() -> None:
    torch.manual_seed(0)
    talker = Talker(SMOKE)
    told = torch.zeros(2, 5, 64)
    told[0] = torch.randn(64)
    told[1] = told[0]
    assert isinstance(talker.audio, Ear)
    heard = talker.hear(told, torch.tensor([False, True]))
    assert not torch.allclose(heard[0], heard[1], atol=1e-3)
    turned = talker.shape(told[:1])
    assert torch.allclose(_other_side(_other_side(turned)), turned)
    across = turned.reshape(5, 40, 3).mean(1)
    back = _other_side(turned).reshape(5, 40, 3).mean(1)
    assert torch.allclose(back * torch.tensor([-1.0, 1, 1]), across, atol=1e-6)


# At dubbing -----------------------------------------------------------------------------------------------

FRAMES = 8


def template() -> Template:
    t = torch.arange(FRAMES) / 25
    turn = torch.stack([0.05 * torch.sin(t), 0.2 * torch.sin(2 * t), 0.05 * t], 1)
    move = torch.stack([10 * t, 5 * t, 500 + 0 * t], 1)
    camera = torch.tensor([[300.0, 100.0, 80.0]]).expand(FRAMES, -1)
    fit = Fit(turn, move, camera, torch.zeros(FRAMES, 27), torch.zeros(FRAMES, 64))
    return Template(fit, torch.zeros(FRAMES), torch.ones(FRAMES, dtype=torch.bool), 160, 200, 25.0)


def view(met: Template, pictures: Tensor, motion: Motion, start: int = 0, stop: int = FRAMES) -> View:
    at = torch.arange(FRAMES)[start:stop]
    rows = Motion(*(None if one is None else one[at] for one in motion))  # type: ignore[arg-type]
    fit = Fit(*(values[at] for values in met.fit))
    return View(pictures[at], at, torch.zeros(len(at)), fit, rows, torch.ones(len(at)))


def pictures(seed: int = 7) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (FRAMES, 160, 200, 3), generator=draw).to(torch.uint8)


def motion(config: TalkerConfig, seed: int = 3) -> Motion:
    draw = torch.Generator().manual_seed(seed)
    around = 0.5 * torch.randn(FRAMES, 5, 64, generator=draw)
    heard = torch.randn(FRAMES, config.width, generator=draw)
    return Motion(around[:, 2], heard=heard, around=around)


def person(side: int, seed: int = 5) -> Person:
    draw = torch.Generator().manual_seed(seed)
    seen = torch.randint(0, 256, (1, side, side, 3), generator=draw).to(torch.uint8)
    return Person(torch.zeros(80), torch.zeros(80), None, {}, seen)


def weights(config: TalkerConfig) -> Mapping[str, Tensor]:
    torch.manual_seed(1)
    return {
        f"{name}/{key}": value
        for name, network in Talker(config).networks.items()
        for key, value in network.state_dict().items()
    }


def painter(config: TalkerConfig, seed: int = 5) -> Painter:
    made = Painter(config, weights(config), person(config.side, seed), "cpu")
    made.meet(template())
    return made


@pytest.mark.parametrize("config", [SMOKE, PAPERS, replace(SMOKE, memory=False)])
def test_pixels_below_the_mask_do_not_matter(config: TalkerConfig) -> None:
    one, said = painter(config), motion(config)
    first = one.draw(view(template(), pictures(), said))
    white = torch.full_like(first.patches, 255)
    black = torch.zeros_like(pictures())
    reach = paste(black, white, first.places, (first.alpha > 0).float()).amax(-1) > 0
    assert reach.float().mean() > 0.03
    other = torch.where(reach[..., None], 255 - pictures(), pictures())
    second = one.draw(view(template(), other, said))
    drawn = first.alpha > 0
    assert torch.equal(first.alpha, second.alpha)
    assert torch.equal(first.patches[drawn], second.patches[drawn])


@pytest.mark.parametrize("config", [SMOKE, PAPERS])
def test_what_is_heard_and_who_is_seen_count(config: TalkerConfig) -> None:
    one = painter(config)
    said = [one.draw(view(template(), pictures(), motion(config, seed))).patches for seed in (3, 4)]
    assert not torch.equal(*said)
    other = painter(config, seed=6).draw(view(template(), pictures(), motion(config))).patches
    assert not torch.equal(other, said[0])


def test_a_drawn_half_begins_softly_and_nothing_above_it_changes() -> None:
    drawn = painter(PAPERS).draw(view(template(), pictures(), motion(PAPERS)))
    middle = PAPERS.side // 2
    assert (drawn.alpha[:, :middle] == 0).all()
    assert drawn.alpha[:, middle].max() < 0.4
    assert drawn.alpha.max() == 1
    only = painter(SMOKE).draw(view(template(), pictures(), motion(SMOKE)))
    rows, columns = FACE.box(SMOKE.side)
    inside = torch.zeros(SMOKE.side, SMOKE.side, dtype=torch.bool)
    inside[rows, columns] = True
    assert (only.alpha[:, ~inside] == 0).all()


def test_blocks_do_not_show() -> None:
    one, said = painter(SMOKE), motion(SMOKE)
    whole = one.draw(view(template(), pictures(), said))
    parts = [one.draw(view(template(), pictures(), said, a, b)).patches for a, b in ((0, 3), (3, 4), (4, 8))]
    away = (torch.cat(parts).int() - whole.patches.int()).abs()
    assert away[whole.alpha > 0].max() <= 1


def test_slots_can_be_addressed_by_hand() -> None:
    torch.manual_seed(2)
    talker = Talker(SMOKE)
    for network in talker.networks.values():
        network.eval()
    inputs, heard = torch.randn(1, SMOKE.inputs, 64, 64), torch.randn(1, SMOKE.width)
    mouths = mouths_by_slot(talker, inputs, heard)
    assert mouths.shape == (SMOKE.slots, 3, 36, 36)
    assert len(mouths.flatten(1).unique(dim=0)) == SMOKE.slots
    share = addresses(talker, torch.randn(7, 5, 64))
    assert torch.allclose(share.sum(1), torch.ones(7), atol=1e-5)
    with torch.no_grad():
        third = torch.zeros(1, SMOKE.slots)
        third[:, 3] = 1
        alone = talker.draw(talker.told(heard, third), inputs)
    assert torch.allclose(alone[0], mouths[3], atol=1e-5)


def test_nobody_is_dubbed_unseen() -> None:
    with pytest.raises(ValueError, match="shown a frame"):
        Painter(SMOKE, weights(SMOKE), person(64)._replace(references=None), "cpu")
    with pytest.raises(ValueError, match="do not fit the network 'audio'"):
        Painter(SMOKE, {}, person(64), "cpu")


# Listening ------------------------------------------------------------------------------------------------


def test_log_mel_is_read_as_bundles_hold_it() -> None:
    """The middle of frame i is at (i + 1/2) / 25 s, row j at j / 80 s."""
    whole = Heard(torch.zeros(500, 29), torch.zeros(500), torch.zeros(500), _ramp(801))
    rows = torch.cat(list(mel_windows(iter([whole]))))
    assert rows.shape == (250, 16, 80)
    wanted = (torch.arange(250)[:, None] + 0.5) / 25 * 80 + torch.arange(16) - 7.5
    assert torch.allclose(rows[..., 0], wanted.clamp(0, 800), atol=1e-3)


def _ramp(rows: int) -> Tensor:
    return torch.arange(rows, dtype=torch.float32)[:, None].expand(-1, 80).contiguous()


def test_sound_in_blocks_is_heard_like_sound_at_once() -> None:
    whole = sound(613)
    assert whole.mel is not None
    at_once = torch.cat(list(mel_windows(iter([whole]))))
    cut, held = [0, 7, 300, 301, 613], []
    for a, b in itertools.pairwise(cut):
        last = len(whole.mel) if b == 613 else int(b * 1.6)
        mel = whole.mel[int(a * 1.6) : last]
        held.append(Heard(whole.speech[a:b], whole.loudness[a:b], whole.voice[a:b], mel))
    assert torch.allclose(torch.cat(list(mel_windows(iter(held)))), at_once, atol=1e-5)
    assert len(at_once) == 307
    with pytest.raises(ValueError, match="read log-mel"):
        list(mel_windows(iter([whole._replace(mel=None)])))


def test_a_speaker_hears_by_its_preset() -> None:
    method = find_method("synctalkface")
    config = replace(method.config("smoke"), listening=LISTENING)
    net = {f"expression/{name}": value for name, value in living().state_dict().items()}
    told = {"talker": weights(SMOKE), "expression": net}
    one = method.speaker(config, told, person(SMOKE.side))
    rows = torch.cat([part.expression for part in one.listen(iter([sound(120)]))])
    assert rows.shape == (60, 64)
    assert rows.std() > 0
    papers = replace(method.config("gpu"), talker=PAPERS)
    other = method.speaker(papers, {"talker": weights(PAPERS)}, person(PAPERS.side))
    parts = list(other.listen(iter([sound(120)])))
    heard = torch.cat([part.heard for part in parts if part.heard is not None])
    assert heard.shape == (60, PAPERS.width)
    silence = Heard(torch.zeros(20, 29), torch.zeros(20), torch.zeros(20), torch.full((33, 80), FLOOR))
    (quiet,) = other.listen(iter([silence]))
    assert torch.allclose(quiet.heard, other.silence.expand(10, -1), atol=1e-5)
    assert np.array_equal(quiet.expression, torch.zeros(10, 64))
