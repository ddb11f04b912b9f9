"""The sync expert: it learns what is in step, sees and hears alike everywhere, and refuses what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.canvas.framing import FACE, MOUTH, TALL, Framing
from models.methods import find_method
from models.sync import SyncNet, load_expert, mouths_of, sound_windows, sync_loss
from models.sync.checking import clip_offsets
from models.sync.config import PRESETS, SyncConfig
from models.sync.looks import kept_features, other_looks, other_recording
from models.sync.losses import choosing, negatives
from models.sync.network import heard_plainly
from models.sync.training import SyncTrainee
from models.train import CHECKPOINT, train_bundle
from models.training import TRAIN, read_checkpoint
from models.training.devices import opened
from models.training.engine import Trained, train
from tests.helpers.speaking import spoken, spoken_bundle

SMOKE = SyncConfig.preset("smoke")
# What lips do, and nothing else, is to be learned in seconds.
EASY = replace(SMOKE, blurred=0.0, grey=0.0, deaf=0.0, levels=0.0, rate=3e-3, dropout=0.0)


def net(config: SyncConfig = SMOKE) -> SyncNet:
    torch.manual_seed(0)
    return SyncNet(config).eval()


def material(frames: int = 30) -> tuple[Tensor, Tensor]:
    """Pictures (T, 3, 64, 64), -1 to 1, and sound (T, 2, 111)."""
    rows = spoken(frames, 5)
    pictures = torch.from_numpy(rows["target"]).movedim(-1, 1).float() / 127.5 - 1
    return pictures, torch.from_numpy(rows["sound"]).float()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """On three clips that are in step."""
    folder = tmp_path_factory.mktemp("trained")
    bundle = spoken_bundle(folder / "b", EASY, (0, 0, 0), steps=140, evaluate_every=70, averaged_steps=10)
    trainee = SyncTrainee(EASY, bundle, None)
    with opened("cpu") as place:
        return train(trainee, folder / "state", "x", place=place)


def test_it_learns_what_is_in_step(trained: Trained) -> None:
    judged = trained.best.judged
    assert trained.curves["held_out/loss"][-1, 1] < 0.8 * trained.curves["held_out/loss"][0, 1]
    assert judged["accuracy"] > 0.65
    assert judged["choice_1s"] > 0.5
    assert {"learn/right", "learn/pairs", "held_out/choice"} <= set(trained.curves)


def test_who_has_learned_brings_clips_in_step(tmp_path: Path, trained: Trained) -> None:
    bundle = spoken_bundle(tmp_path / "b", EASY, (0, 4), frames=300)
    with pytest.warns(
        UserWarning, match=r"clip1: its sound is late by [34]\.\d frames; it is brought in step"
    ):
        trainee = SyncTrainee(EASY, bundle, trained.best.tensors)
    first = torch.tensor([20, 320])
    read = trainee._reads.windows(first)
    runs = bundle.segments(TRAIN)
    sound = bundle.tensor("sound")
    assert torch.equal(read[:1], sound_windows(sound, first[:1], runs))
    assert torch.equal(read[1:], sound_windows(sound, first[1:] + 4, runs))


def test_a_checkpoint_comes_back_as_the_same_expert(tmp_path: Path) -> None:
    bundle = spoken_bundle(tmp_path / "b", SMOKE, steps=4, evaluate_every=2)
    with opened("cpu") as place:
        train_bundle(bundle, tmp_path / "out", place)
    told, tensors = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    assert told["method"] == "sync"
    expert, pictures = load_expert(tensors), mouths_of(material()[0], MOUTH)
    assert expert.config.seen == SMOKE.seen
    assert not any(one.requires_grad for one in expert.parameters())
    assert torch.equal(expert.see_run(pictures), load_expert(tensors).see_run(pictures))
    with pytest.raises(ValueError, match="do not fit"):
        load_expert({"expert/gain": torch.zeros(())})


def test_other_people_are_got_used_to_from_general_weights(tmp_path: Path) -> None:
    bundle = spoken_bundle(tmp_path / "b", SMOKE)
    start = {f"expert/{name}": value for name, value in net().state_dict().items()}
    trainee = SyncTrainee(SMOKE, bundle, start)
    assert trainee.plan.steps == SMOKE.own_steps
    assert {group["lr"] for group in trainee.optimisers()["expert"].param_groups} == {SMOKE.own_rate}
    assert torch.equal(trainee.net.gain, start["expert/gain"])


def test_batches_follow_from_the_seed_and_hold_whole_stretches(tmp_path: Path) -> None:
    trainee = SyncTrainee(SMOKE, spoken_bundle(tmp_path / "b", SMOKE), None)
    one, again, other = (trainee.batch(3, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["sound"], other["sound"])
    assert one["target"].shape == (4, SMOKE.stretch, 64, 64, 3)
    assert one["sound"].shape == (4, SMOKE.stretch - 4, 13, 2, 111)


def test_without_held_out_rows_nothing_is_judged(tmp_path: Path) -> None:
    bundle = spoken_bundle(tmp_path / "b", SMOKE)
    kept = tuple(one for one in bundle.about.segments if one.split == "train")
    bundle.about = replace(bundle.about, segments=kept)
    assert SyncTrainee(SMOKE, bundle, None).judge() == {}


def test_a_clip_out_of_step_is_left_out(tmp_path: Path) -> None:
    bundle = spoken_bundle(tmp_path / "b", SMOKE, (0, 5), frames=300)
    found = clip_offsets(bundle)
    assert found["clip1"].confident
    assert found["clip1"].frames == pytest.approx(5, abs=1)
    assert abs(found["clip0"].frames) < 1
    with pytest.warns(UserWarning, match=r"clip1: its sound is late by"):
        trainee = SyncTrainee(SMOKE, bundle, None)
    assert trainee._starts.max() < 300
    with (
        pytest.warns(UserWarning, match="early"),
        pytest.raises(ValueError, match="no clip in step"),
    ):
        SyncTrainee(SMOKE, spoken_bundle(tmp_path / "c", SMOKE, (-5,), frames=300), None)


def test_negatives_are_hard_and_easy_and_never_nearly_in_step() -> None:
    chosen = negatives(6, 16, torch.Generator().manual_seed(0))
    own = torch.arange(96).reshape(6, 16)
    same = chosen // 16 == own // 16
    apart = (chosen - own).abs()
    assert int(apart[same].min()) >= 3
    assert 0.3 < float((same & (apart <= 9)).float().mean()) < 0.7
    assert int((negatives(1, 16) - torch.arange(16)).abs().min()) >= 3


@torch.no_grad()
def test_choosing_knows_the_diagonal_and_spares_what_is_beside_it() -> None:
    heard = torch.nn.functional.one_hot(torch.arange(16), 32).float()[None]
    beside = heard.clone()
    beside[0, 4] = heard[0, 5]  # as likely as its own: a frame away
    ones, expert = torch.ones(1, 16), net()
    at_best = choosing(expert, heard, heard, ones)
    assert float(at_best) < float(choosing(expert, heard.flip(1), heard, ones)) - 2
    assert float(choosing(expert, heard, beside, ones)) < float(at_best) + 1


def test_runs_and_single_windows_say_the_same() -> None:
    expert = net()
    pictures, sound = material()
    mouths = mouths_of(pictures, MOUTH)
    windows = torch.stack([mouths[t : t + 5] for t in range(26)])
    torch.testing.assert_close(expert.see_run(mouths), expert.see(windows))
    heard = expert.hear(sound_windows(sound, torch.arange(26), [(0, 30)]))
    torch.testing.assert_close(expert.hear_run(sound), heard)
    torch.testing.assert_close(heard.norm(dim=-1), torch.ones(26))


def test_an_hour_is_heard_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    expert, counts, plainly = net(), list[int](), SyncNet.hear

    def counted(self: SyncNet, sound: Tensor, kept: Tensor | None = None) -> Tensor:
        counts.append(len(sound))
        return plainly(self, sound, kept)

    monkeypatch.setattr(SyncNet, "hear", counted)
    sound = torch.randn(600, 2, 111, generator=torch.Generator().manual_seed(3))
    heard = expert.hear_run(sound)
    assert (sum(counts), max(counts)) == (596, 256)
    torch.testing.assert_close(heard[250:300], expert.hear_run(sound[246:308])[4:54])


def test_sound_windows_stay_in_their_run() -> None:
    rows = torch.arange(20.0)[:, None, None].expand(-1, 2, 111)
    first, last = sound_windows(rows, torch.tensor([8, 15]), [(8, 20), (0, 8)])[..., 0, 0]
    assert first.tolist() == [8, 8, 8, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    assert last.tolist() == [11, 12, 13, 14, 15, 16, 17, 18, 19, 19, 19, 19, 19]
    with pytest.raises(ValueError, match="outside"):
        sound_windows(rows, torch.tensor([9]), [(0, 8)])


@pytest.mark.parametrize(
    ("framing", "side"), [(MOUTH, 64), (MOUTH, 96), (FACE, 128), (TALL, 104), (TALL, 208)]
)
def test_mouths_are_found_on_any_canvas(framing: Framing, side: int) -> None:
    """A picture that is a plane: brightness says where it was cut."""
    unit = side / framing.side
    along = (torch.arange(side) + 0.5) / unit
    picture = torch.stack(
        [(along - framing.left).expand(side, side), (along - framing.top)[:, None].expand(side, side)]
    )
    mouths = mouths_of(torch.cat([picture, picture[:1]])[None], framing)
    wanted = 0.25 + (torch.arange(48) + 0.5) / 96
    torch.testing.assert_close(mouths[0, 0, 24, 2:-2], wanted[2:-2], atol=0.01, rtol=0)
    torch.testing.assert_close(mouths[0, 1, 2:-2, 24], wanted[2:-2], atol=0.01, rtol=0)


def test_neither_colour_nor_level_is_told() -> None:
    expert = net()
    pictures, sound = material()
    mouths = mouths_of(pictures, MOUTH)
    tinted = 0.6 * mouths + torch.tensor([0.1, -0.05, 0.0])[:, None, None]
    torch.testing.assert_close(expert.see_run(tinted), expert.see_run(mouths), atol=0.02, rtol=0)
    louder = sound.clone()
    louder[..., 29] += 12
    louder[..., 31:] += 0.96
    torch.testing.assert_close(heard_plainly(louder[None]), heard_plainly(sound[None]), atol=1e-4, rtol=0)


def test_the_loss_leads_back_to_the_pictures_alone() -> None:
    torch.manual_seed(1)
    expert = net().requires_grad_(False)
    pictures, sound = material(40)
    made = torch.stack([pictures[t : t + 5] for t in (0, 10, 20)]).requires_grad_()
    heard = sound_windows(sound, torch.tensor([0, 10, 20]), [(0, 40)])
    loss = sync_loss(expert, made, MOUTH, heard)
    loss.backward()
    assert made.grad is not None
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[15:49, 15:49] = True
    assert float(made.grad[..., inside].abs().sum()) > 0
    assert float(made.grad[..., ~inside].abs().sum()) == 0
    with torch.no_grad():
        better = made - 5 * made.grad / made.grad.norm()
    assert float(sync_loss(expert, better, MOUTH, heard)) < float(loss.detach())


def test_changed_looks_and_sounds_keep_shape_and_range() -> None:
    torch.manual_seed(2)
    pictures, sound = material(20)
    looks = other_looks(pictures[None].repeat(6, 1, 1, 1, 1), SyncConfig())
    assert looks.shape == (6, 20, 3, 48, 48)
    assert torch.isfinite(looks).all()
    assert float(looks.abs().max()) <= 1.2001
    assert not torch.equal(looks[0], looks[1])
    windows = sound_windows(sound, torch.arange(16), [(0, 20)])[None].repeat(2, 1, 1, 1, 1)
    heard = other_recording(windows, SyncConfig())
    assert heard.shape == windows.shape
    assert torch.equal(heard[..., 30], windows[..., 30]), "whether somebody speaks stays true"
    kept = kept_features(400, 0.5)
    symbols, mel = kept[:, 0], kept[:, 40]
    assert float((symbols + mel).min()) == 1.0
    assert 0.4 < float((symbols * mel).mean()) < 0.6


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_say_all_about_themselves(preset: str) -> None:
    method = find_method("sync")
    config = method.config(preset)
    assert method.config_from(config.as_dict()) == config
    (stage,) = method.stages(config)
    assert (stage.name, stage.side, stage.general, stage.optional) == ("expert", 64, "sync", True)
    with pytest.raises(ValueError, match="no preset"):
        method.config("huge")
    with pytest.raises(ValueError, match="no talking face"):
        method.speaker(config, {}, None)  # type: ignore[arg-type]


def test_the_small_expert_is_small() -> None:
    assert sum(one.numel() for one in SyncNet(SyncConfig.preset("cpu")).parameters()) <= 1_500_000
