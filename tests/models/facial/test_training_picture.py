"""Render-to-video's training: what it reads, what it never sees, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.facial.config_picture import AFTER, BEFORE, PictureConfig, picture_config
from models.facial.training_picture import NETWORK, PictureTrainee
from models.training import HELD_OUT, TRAIN, About, Bundle, Plan, Segment, write_bundle
from models.training.devices import opened
from models.training.engine import train

SIDE, ROWS = 32, 30
RUNS = (Segment("a", 0, 12, 25.0, TRAIN), Segment("a", 12, 24, 25.0, TRAIN, 14))
HELD = Segment("a", 24, 30, 25.0, HELD_OUT, 26)


def arrays() -> dict[str, Any]:
    """A square face on a wall that moves by a pixel a frame; its eyes turn dark as they shut."""
    wall = np.random.default_rng(0).integers(60, 200, (SIDE, SIDE, 3)).astype(np.uint8)
    hole = np.zeros((1, SIDE, SIDE), np.uint8)
    hole[0, 4:28, 4:28] = 255
    target, render = np.repeat(wall[None], ROWS, 0), np.zeros((ROWS, SIDE, SIDE, 3), np.uint8)
    eyes, shut = np.zeros((ROWS, SIDE, SIDE), np.uint8), np.zeros(ROWS, np.float32)
    for k in range(ROWS):
        at, shut[k] = 8 + k % 5, 5.0 * (k % 3 == 0)
        target[k, 10:22, at : at + 10] = (200, 150, 120)
        render[k, 10:22, at : at + 10] = (210, 160, 110)
        eyes[k, 12:16, at + 2 : at + 8] = 255
        target[k, 12:16, at + 2 : at + 8] = 40 if shut[k] else 240
    still = np.zeros(ROWS, np.int32)
    return {
        "target": target,
        "render": render,
        "eyes": eyes,
        "shut": shut,
        "still": still,
        "plate": wall[None],
        "hole": hole,
        "hidden": (hole > 0).astype(np.uint8),
    }


def bundle(folder: Path, changes: dict[str, Any] | None = None, plan: dict[str, Any] | None = None) -> Bundle:
    about = About("facial", "picture", "smoke", {}, plan=plan or {}, segments=(*RUNS, HELD))
    return Bundle(write_bundle(folder / "b.safetensors", about, {**arrays(), **(changes or {})}))


def config(**changes: Any) -> PictureConfig:
    return replace(picture_config("smoke"), **{"side": SIDE, **changes})


def test_windows_hold_on_at_the_ends_of_runs(tmp_path: Path) -> None:
    trainee = PictureTrainee(config(), bundle(tmp_path), None)
    whole = arrays()["render"]
    found = trainee.read(np.array([0, 11, 12, 20]))["render"].numpy()
    assert found.shape[:2] == (4, BEFORE + 1 + AFTER)
    for row, (low, high), window in zip(
        (0, 11, 12, 20), ((0, 11), (0, 11), (12, 23), (12, 23)), found, strict=True
    ):
        at = np.clip(np.arange(row - BEFORE, row + AFTER + 1), low, high)
        np.testing.assert_array_equal(window, whole[at])


def test_nothing_in_the_hole_is_looked_at(tmp_path: Path) -> None:
    """What is drawn is the same whatever was there; only a loss may know it."""
    trainee = PictureTrainee(config(), bundle(tmp_path), None)
    trainee.generator.eval()
    batch = trainee.read(np.array([3, 15]))
    other = dict(batch)
    scrambled = batch["target"].clone()
    scrambled[:, 4:28, 4:28] = 255 - scrambled[:, 4:28, 4:28]
    other["target"] = scrambled
    with torch.no_grad():
        one, two = (trainee.drawn(told)[1] for told in (batch, other))
    assert torch.equal(one.colours, two.colours)
    assert torch.equal(one.seen, two.seen)


def test_outside_the_hole_nothing_changes(tmp_path: Path) -> None:
    trainee = PictureTrainee(config(), bundle(tmp_path), None)
    batch = trainee.read(np.array([3]))
    made = trainee.drawn(batch)[0]
    outside = (batch["hole"] == 0).expand(-1, 3, -1, -1)
    true = batch["target"].permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.allclose(made[outside], true[outside])


def learned(folder: Path, changed: PictureConfig, steps: int) -> PictureTrainee:
    plan = {"steps": steps, "evaluate_every": steps, "averaged_steps": 5.0}
    trainee = PictureTrainee(changed, bundle(folder, plan=plan), None)
    with opened("cpu") as place:
        done = train(trainee, folder / "state", "test", place=place)
    weights = {
        k.removeprefix(f"{NETWORK}/"): v for k, v in done.best.tensors.items() if k.startswith(NETWORK)
    }
    trainee.generator.load_state_dict(weights)
    trainee.generator.eval()
    return trainee


class _Forgetful(PictureTrainee):
    """Draws anew for every turn."""

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self._made = None
        return super().losses(turn, batch)


def test_drawn_once_for_both_turns_is_as_drawn_for_each(tmp_path: Path) -> None:
    found = []
    for kind in (PictureTrainee, _Forgetful):
        trainee = kind(config(), bundle(tmp_path, plan={"steps": 6}), None)
        assert [turn.name for turn in trainee.turns(0)] == ["tell", "play"]
        with opened("cpu") as place:
            found.append(train(trainee, tmp_path / kind.__name__, "test", place=place))
    once, twice = found
    assert all(torch.equal(curve, twice.curves[name]) for name, curve in once.curves.items())
    assert all(torch.equal(value, twice.best.tensors[name]) for name, value in once.best.tensors.items())


def brightness_of_eyes(trainee: PictureTrainee, shut: float) -> float:
    batch = trainee.read(np.array([24, 27]))
    batch["shut"] = torch.full_like(batch["shut"], shut)
    with torch.no_grad():
        made = trainee.drawn(batch)[0]
    region = (batch["eyes"][:, BEFORE] > 128)[:, None].expand(-1, 3, -1, -1)
    return float(made[region].mean())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> PictureTrainee:
    return learned(tmp_path_factory.mktemp("picture"), config(told_from=0.7), 250)


def test_it_learns_the_face_and_leaves_the_wall(trained: PictureTrainee) -> None:
    told, fresh = trained.judge(), PictureTrainee(config(), trained.bundle, None)
    fresh.generator.eval()
    with torch.no_grad():
        before = fresh.judge()
    assert told["pixels"] < 0.4 * before["pixels"]


def test_eyes_follow_the_map_alone(trained: PictureTrainee) -> None:
    """All else fixed, AU45 of 0 gives open eyes and a high one shut eyes."""
    assert brightness_of_eyes(trained, 0.0) - brightness_of_eyes(trained, 5.0) > 0.4


def test_without_the_map_eyes_know_nothing(trained: PictureTrainee) -> None:
    blind = PictureTrainee(config(eyes=False), trained.bundle, _weights(trained))
    blind.generator.eval()
    assert brightness_of_eyes(blind, 0.0) == brightness_of_eyes(blind, 5.0)


def _weights(trainee: PictureTrainee) -> dict[str, Tensor]:
    return {f"{NETWORK}/{name}": value for name, value in trainee.generator.state_dict().items()}


def test_of_many_people_nobody_tells_apart(tmp_path: Path) -> None:
    """Only of one person is there enough to tell what is true of them."""
    many = bundle(tmp_path, {"speaker": np.zeros(ROWS, np.int32)})
    trainee = PictureTrainee(config(), many, None)
    assert set(trainee.networks) == set(trainee.optimisers()) == {NETWORK}
    assert [turn.name for turn in trainee.turns(10_000)] == ["draw"]


def test_who_starts_from_general_weights_has_a_plan_of_their_own(tmp_path: Path) -> None:
    own = config(own=Plan(steps=7, batch=2), own_rate=0.5)
    fresh = PictureTrainee(own, bundle(tmp_path), None)
    begun = PictureTrainee(own, bundle(tmp_path), _weights(fresh))
    assert (fresh.plan.steps, begun.plan.steps) == (30, 7)
    rates = [one.optimisers()[NETWORK].param_groups[0]["lr"] for one in (fresh, begun)]
    assert rates == [own.rate, 0.5]
    assert set(begun.networks) == {NETWORK, "critic"}


def test_frames_with_lids_down_are_drawn_more_often(tmp_path: Path) -> None:
    shut = np.zeros(ROWS, np.float32)
    shut[5] = 4.0
    shares = []
    for share in (0.0, 0.5):
        trainee = PictureTrainee(config(blinking=share), bundle(tmp_path, {"shut": shut}), None)
        draw = torch.Generator().manual_seed(0)
        seen = torch.cat([trainee.batch(k, draw)["shut"][:, BEFORE] for k in range(60)])
        shares.append(float((seen > 1).float().mean()))
    assert shares[0] < 0.15
    assert 0.35 < shares[1] < 0.7
