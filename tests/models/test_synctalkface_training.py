"""SyncTalkFace's training: it learns, in parts, from others' frames only, goes on, and adapts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.canvas.framing import FACE
from models.losses import Perception
from models.synctalkface.config import TalkerConfig, talker_config
from models.synctalkface.losses import alike, attention, drawing, passed, telling
from models.synctalkface.network import LipEncoder, MelEncoder
from models.synctalkface.talker import Talker
from models.synctalkface.training import TRAINING_ONLY, TalkerTrainee, arrays_of
from models.train import CHECKPOINT, train_bundle
from models.training import HELD_OUT, TRAIN, Bundle, read_checkpoint
from models.training.devices import opened
from models.training.engine import Paused, Trained, train
from tests.helpers.talking import bundle, teacher

SMOKE = talker_config("smoke")
QUIET = replace(SMOKE, audio_visual=False, critic="")
# As the paper has it in all but its widths.
PAPERS = replace(
    talker_config("gpu"),
    side=64,
    width=16,
    slots=9,
    face=((4, 0), (6, 0), (8, 1), (8, 0), (12, 1)),
    drawn=((12, 1), (8, 0), (8, 1), (8, 0), (6, 0)),
    last=4,
    lips=((4, 0), (6, 1), (8, 0), (8, 0)),
    critic="patches",
    filled_rows=40,
    plan=SMOKE.plan,
)


def opened_bundle(folder: Path, config: TalkerConfig = QUIET, people: int = 2, **more: Any) -> Bundle:
    brought = teacher() if config.audio_visual else {}
    told = {"talker": config.as_dict(), "listening": None}
    more = {"side": config.side, "people": people, "arrays": brought, **more}
    return bundle(folder / "b", "synctalkface", "talker", told, **more)


def trained(trainee: TalkerTrainee, folder: Path, limit: float | None = None) -> Trained:
    with opened("cpu") as place:
        return train(trainee, folder, "x", place=place, limit_seconds=limit)


@cache
def _learned(folder: Path) -> tuple[TalkerTrainee, Trained]:
    made = opened_bundle(folder, plan={"steps": 100, "batch": 2, "averaged_steps": 15, "evaluate_every": 50})
    trainee = TalkerTrainee(QUIET, made, None)
    return trainee, trained(trainee, folder / "state")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[TalkerTrainee, Trained]:
    return _learned(tmp_path_factory.mktemp("learned"))


def test_it_learns_to_draw_by_sound_alone(learned: tuple[TalkerTrainee, Trained]) -> None:
    _, done = learned
    curve = done.curves["held_out/pixels"][:, 1]
    assert curve[-1] < 0.4 * curve[0]
    judged = done.best.judged
    # What sound addresses is as good as what lips are themselves.
    assert judged["pixels"] < 1.1 * judged["lip_pixels"]
    assert {name.split("/")[0] for name in done.best.tensors} == {
        "audio",
        "memory",
        "face",
        "decoder",
        "lips",
    }


def test_a_cold_start_goes_in_parts(learned: tuple[TalkerTrainee, Trained]) -> None:
    trainee, done = learned
    names = {share: [t.name for t in trainee.turns(round(100 * share))] for share in (0, 0.1, 0.9, 0.95)}
    assert names == {0: ["apart"], 0.1: ["store"], 0.9: ["store"], 0.95: ["sync"]}
    filled = [step for step in range(100) if "fill" in [turn.name for turn in trainee.turns(step)]]
    assert filled == [5]
    assert "apart/stored" not in done.curves
    assert {"store/stored", "store/aligned", "sync/visual_visual"} <= set(done.curves)


def test_nobody_moves_slots_before_they_are_filled(tmp_path: Path) -> None:
    """No momentum of random slots is left to push filled ones about."""
    made = opened_bundle(tmp_path, plan={"steps": 100, "batch": 2})
    trainee = TalkerTrainee(QUIET, made, None)
    optimisers, memory = trainee.optimisers(), trainee.talker.memory
    before = memory.values.detach().clone()
    for step in range(2):
        trainee.losses("apart", trainee.batch(step, _draw(step)))["loss"].backward()
        optimisers["talker"].step()
    assert memory.values.grad is None
    assert torch.equal(memory.values, before)
    assert memory.values not in optimisers["talker"].state
    trainee.losses("fill", trainee.batch(2, _draw(2)))["loss"].backward()
    assert not torch.equal(memory.values, before)
    again = memory.values.detach().clone()
    trainee.losses("fill", trainee.batch(9, _draw(9)))
    assert not torch.equal(memory.values, before)
    assert torch.allclose(memory.recall(torch.eye(SMOKE.slots)), memory.values)
    assert again.shape == memory.values.shape


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Also across the step in which slots are filled."""
    config = replace(SMOKE, filled_at=0.3, synced_from=0.4, told_from=0.6)
    plan = {"steps": 8, "evaluate_every": 4, "batch": 2, "averaged_steps": 4}
    made = opened_bundle(tmp_path, config, plan=plan)
    whole = trained(TalkerTrainee(config, made, None), tmp_path / "whole")
    done = None
    while done is None:
        try:
            done = trained(TalkerTrainee(config, made, None), tmp_path / "parts", limit=0.0)
        except Paused:
            continue
    assert whole.best.tensors.keys() == done.best.tensors.keys()
    assert all(torch.equal(value, done.best.tensors[name]) for name, value in whole.best.tensors.items())
    assert {"fill/loss", "play/passed", "tell/real", "play/audio_visual"} <= set(whole.curves)


# Windows --------------------------------------------------------------------------------------------------


def test_batches_follow_from_step_and_chance(tmp_path: Path) -> None:
    trainee = TalkerTrainee(SMOKE, opened_bundle(tmp_path, SMOKE), None)
    late = trainee.plan.steps - 1
    one, again, other = (trainee.batch(late, _draw(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert {len(value) for value in one.values()} == {trainee.plan.batch}
    assert one["target"].shape[1:] == (9, 64, 64, 3)
    assert one["sound"].shape[1:] == (13, 2, 111)
    # While nobody judges windows, each gives its middle frame.
    early = trainee.batch(3, _draw(1))
    assert torch.equal(early["target"], one["target"][:, 2:7])
    assert torch.equal(early["mask"], one["mask"][:, 2:3])
    assert "sound" not in early


def test_references_are_others_and_of_the_same_person(tmp_path: Path) -> None:
    windows = TalkerTrainee(QUIET, opened_bundle(tmp_path), None).windows
    draw, found = _draw(0), []
    starts, _ = windows._starts(300, draw)
    for at in starts.tolist():
        row = windows._reference(at, draw)
        found.append(row)
        assert windows.speaker[row] == windows.speaker[at]
        assert row <= at - QUIET.apart or row >= at + 4 + QUIET.apart
    assert set(found) <= set(windows.bundle.rows(TRAIN).tolist())
    assert len(set(found)) > 30
    held = np.array([start for start, _ in windows.runs[HELD_OUT]])
    assert set(windows.held_out_references(held)) <= set(windows.bundle.rows(TRAIN).tolist())


def test_what_is_heard_is_near_the_truth_but_not_it(tmp_path: Path) -> None:
    made = opened_bundle(tmp_path)
    still = replace(QUIET, noise=0.0, wavering=0.0, shifted=0.0)
    for config, near in ((QUIET, 1.0), (still, 1e-6)):
        windows = TalkerTrainee(config, made, None).windows
        draw = _draw(3)
        at, edges = windows._starts(64, draw)
        true = windows.read(at, edges, at, False)["heard"]
        away = (windows._unlike(at, edges, draw, False)["heard"] - true).abs()
        assert away.max() <= near
        assert bool(away.max() > 1e-3) == (config.noise > 0)


def test_a_persons_hidden_pixels_reach_nothing(tmp_path: Path) -> None:
    trainee = TalkerTrainee(SMOKE, opened_bundle(tmp_path, SMOKE), None)
    starts, edges = trainee.windows._starts(2, _draw(0))
    batch = trainee.windows.read(starts, edges, trainee.windows.held_out_references(starts), True)
    covered = (batch["mask"] > 0)[..., None]
    other = dict(batch)
    other["target"] = batch["target"].clone()
    inner = other["target"][:, 2:7]
    inner[:] = torch.where(covered, 255 - inner, inner)
    assert not torch.equal(other["target"], batch["target"])
    one, two = (trainee._scene(each) for each in (batch, other))
    assert torch.equal(one.inputs, two.inputs)
    assert torch.equal(one.heard, two.heard)
    assert not torch.equal(one.true, two.true)


# Presets' ways --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        PAPERS,
        replace(SMOKE, memory=False),
        replace(SMOKE, lip_path="recalled", visual_visual=False),
        replace(SMOKE, draws="face", hides="half", weight_structure=1.0),
    ],
)
def test_every_way_trains(tmp_path: Path, config: TalkerConfig) -> None:
    plan = {"steps": 6, "evaluate_every": 3, "batch": 2, "averaged_steps": 4}
    config = replace(config, filled_at=0.2, synced_from=0.4, told_from=0.6)
    made = opened_bundle(tmp_path, config, plan=plan)
    done = trained(TalkerTrainee(config, made, None), tmp_path / "state")
    assert np.isfinite(list(done.best.judged.values())).all()
    assert ("lip_pixels" in done.best.judged) == config.memory
    assert ("play/visual_visual" in done.curves) == (config.memory and config.visual_visual)


def test_the_papers_ear_reads_log_mel(tmp_path: Path) -> None:
    trainee = TalkerTrainee(PAPERS, opened_bundle(tmp_path, PAPERS), None)
    assert isinstance(trainee.talker.audio, MelEncoder)
    assert "mels" in arrays_of(PAPERS)
    assert trainee.batch(0, _draw(0))["heard"].shape[1:] == (5, 16, 80)


def test_a_bundle_that_lacks_something_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lacks around"):
        TalkerTrainee(QUIET, opened_bundle(tmp_path, around=None), None)
    with pytest.raises(ValueError, match="'sync'"):
        TalkerTrainee(replace(QUIET, audio_visual=True), opened_bundle(tmp_path), None)
    with pytest.raises(ValueError, match="no run of 5 frames"):
        TalkerTrainee(QUIET, opened_bundle(tmp_path, frames=5), None)


def test_without_held_out_frames_nothing_is_judged(tmp_path: Path) -> None:
    trainee = TalkerTrainee(QUIET, opened_bundle(tmp_path), None)
    trainee.windows.runs[HELD_OUT] = []
    assert trainee.judge() == {}


# A person's own -------------------------------------------------------------------------------------------


def test_a_checkpoint_travels_without_what_only_training_needs(tmp_path: Path) -> None:
    made = opened_bundle(tmp_path, SMOKE, plan={"steps": 4, "evaluate_every": 2, "batch": 2})
    with opened("cpu") as place:
        train_bundle(made, tmp_path / "out", place)
    _, tensors = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    kept = {name: value for name, value in tensors.items() if name.partition("/")[0] not in TRAINING_ONLY}
    assert set(tensors) - set(kept)
    talker = Talker(SMOKE)
    talker.load(kept)
    assert torch.equal(talker.memory.keys, tensors["memory/keys"])


@pytest.mark.parametrize("config", [QUIET, PAPERS])
def test_a_person_refines_general_weights(tmp_path: Path, config: TalkerConfig) -> None:
    general = {
        f"{name}/{key}": value.clone()
        for name, network in Talker(config).networks.items()
        for key, value in network.state_dict().items()
    }
    plan = {"steps": 6, "evaluate_every": 3, "averaged_steps": 4}
    made = opened_bundle(tmp_path, config, people=0, plan=plan)
    trainee = TalkerTrainee(config, made, general)
    assert not set(trainee.networks) & set(TRAINING_ONLY)
    last = [turn.name for turn in trainee.turns(plan["steps"])]
    assert [turn.name for turn in trainee.turns(0)] == (["draw"] if config.singly else last)
    assert last == ["sync"]
    assert trainee.rate == config.own_rate
    still = {n: v.clone() for n, v in trainee.talker.face.state_dict().items() if "running" in n}
    done = trained(trainee, tmp_path / "state")
    assert done.best.judged["pixels"] >= 0
    assert all(torch.equal(value, trainee.talker.face.state_dict()[name]) for name, value in still.items())
    assert bool(still) == config.norm
    moved = [n for n, v in general.items() if v.is_floating_point() and not torch.equal(v, _now(trainee)[n])]
    assert any(name.startswith("decoder/") for name in moved)


def _now(trainee: TalkerTrainee) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": value
        for name, network in trainee.networks.items()
        for key, value in network.state_dict().items()
    }


# Losses ---------------------------------------------------------------------------------------------------


def test_with_the_papers_weights_pixels_are_a_plain_mean() -> None:
    made, true = torch.rand(2, 3, 3, 128, 128, generator=_draw(0)) * 2 - 1
    told = drawing(made, true, torch.zeros(3, 1, 128, 128), Perception(), talker_config("gpu"))
    plain = (made - true).abs().mean() / 2
    assert torch.allclose(told["pixels"], plain)
    assert torch.allclose(told["loss"], 10 * plain)
    assert set(told) == {"pixels", "loss"}


def test_the_mouth_counts_most_on_small_machines() -> None:
    config = talker_config("cpu")
    hidden = torch.zeros(1, 1, 72, 72)
    hidden[..., 10:, 5:67] = 1
    weight = attention(hidden, config)[0, 0]
    assert torch.allclose(weight[[0, 12, 36], [0, 8, 36]], torch.tensor([0.15, 1.0, 4.0]))
    whole = attention(torch.zeros(1, 1, 128, 128), replace(config, draws="face"))[0, 0]
    rows, columns = FACE.box(128)
    middle = (rows.start + 36, columns.start + 36)
    assert abs(float(whole[middle]) - 4 * 0.15) < 1e-6


def test_lips_are_compared_without_moving_who_compares() -> None:
    torch.manual_seed(0)
    encoder = LipEncoder(PAPERS)
    made = torch.randn(2, 3, 5, 64, 64, requires_grad=True)
    true = torch.randn(2, PAPERS.width, requires_grad=True)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    alike(encoder, made, true).backward()
    assert made.grad is not None
    assert made.grad.abs().max() > 0
    assert true.grad is None
    assert all(one.grad is None for one in encoder.parameters())
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in before.items())


def test_the_game_is_cross_entropy_and_each_path_counts() -> None:
    real, made = torch.tensor([[2.0], [0.5]]), torch.tensor([[-1.0], [0.3], [1.0], [-2.0]])
    entropy = torch.nn.functional.binary_cross_entropy
    wanted = entropy(real.sigmoid(), torch.ones(2, 1))
    wanted = wanted + 2 * entropy(made.sigmoid(), torch.zeros(4, 1))
    assert torch.allclose(telling(real, made)["loss"], wanted)
    assert torch.allclose(passed(made), entropy(made.sigmoid(), torch.ones(4, 1)))
