"""DINet learns: mouths that follow what they are told, from references that never show the frame itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.canvas.framing import TALL
from models.dinet.config import DINetConfig, dinet_config
from models.dinet.method import DINet
from models.dinet.training import DrawerTrainee
from models.morphable.builtin import builtin
from models.sync.config import SyncConfig
from models.sync.network import SyncNet
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, write_bundle
from models.training.devices import opened
from models.training.engine import train
from models.training.teachers import as_arrays

FRAMES, SIDE, PEOPLE = 60, 52, 2
CONFIG = dinet_config("smoke")
JAW = builtin().names.index("jaw_open")


def openings() -> np.ndarray:
    """(PEOPLE * FRAMES,) 0 to 1."""
    at = np.arange(PEOPLE * FRAMES)
    return (0.5 + 0.5 * np.sin(at * 0.9 + at // FRAMES)).astype("f4")


def rows(people: bool = True) -> dict[str, np.ndarray]:
    """Faces on which a dark mouth opens and shuts; each person has a skin."""
    opening, count = openings(), PEOPLE * FRAMES
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    skins = np.array([(200, 150, 130), (120, 80, 60)], np.uint8)
    who = np.arange(count) // FRAMES
    target = np.repeat(np.repeat(skins[who][:, None, None], SIDE, 1), SIDE, 2)
    for frame, gap in enumerate(opening):
        hole = ((x - 26) / 6) ** 2 + ((y - 32) / (1 + 6 * gap)) ** 2 < 1
        target[frame][hole] = (40, 10, 20)
    mask = np.zeros((count, SIDE, SIDE), np.uint8)
    rows_, columns_ = TALL.box(SIDE)
    mask[:, rows_.start + 2 : rows_.stop - 2, columns_.start + 2 : columns_.stop - 2] = 255
    key = np.zeros((count, 40, 3), np.float32)
    lower = [int(np.flatnonzero(builtin().mouth == one)[0]) for one in (14, 87, 317)]
    key[:, lower, 1] = 20 * opening[:, None]
    near = np.clip(np.arange(count)[:, None] + np.arange(-2, 3), 0, count - 1)
    around = np.zeros((count, 5, 64), np.float16)
    around[..., JAW] = opening[near]
    sound = np.full((count, 2, 111), -6, np.float16)
    sound[:, :, 3] = -6 * (1 - opening[:, None])
    out: dict[str, np.ndarray] = {
        "target": target,
        "mask": mask,
        "around": around,
        "sound": sound,
        "key": key.reshape(count, 120),
        "turn": np.zeros((count, 3), np.float32),
        "sharp": np.ones(count, np.float32),
        "speaker": who.astype(np.int32),
    }
    if not people:
        del out["speaker"]
    return out


def bundle(folder: Path, config: DINetConfig = CONFIG, people: bool = True, **plan: Any) -> Bundle:
    segments = []
    for one in range(PEOPLE):
        first, cut, last = one * FRAMES, one * FRAMES + 50, (one + 1) * FRAMES
        segments.append(Segment(str(one), first, cut, 25.0, TRAIN))
        segments.append(Segment(str(one), cut, last, 25.0, HELD_OUT, 50))
    about = About("dinet", "frame", "smoke", config.as_dict(), seed=4, plan=plan, segments=tuple(segments))
    return Bundle(write_bundle(folder / "frame.bundle", about, rows(people)))


def trainee(
    made: Bundle, config: DINetConfig = CONFIG, start: dict[str, Tensor] | None = None
) -> DrawerTrainee:
    one = DINet().trainee(config.courses[-1].name, config, made, start)
    assert isinstance(one, DrawerTrainee)
    return one


def test_it_learns_to_open_the_mouth_that_it_is_told(tmp_path: Path) -> None:
    made = bundle(tmp_path, steps=70, averaged_steps=10, evaluate_every=35)
    learner = trainee(made)
    with opened("cpu") as place:
        done = train(learner, tmp_path / "state", "x", place=place)
    curve = done.curves["held_out/loss"][:, 1]
    assert curve[-1] < 0.5 * curve[0]
    assert {name.split("/")[0] for name in done.best.tensors} == {"drawer", "critic"}
    learner.drawer.eval()
    batch = next(learner.material.held_out(4))
    true, hole = learner._truth(batch)
    dark = []
    for opening in (0.0, 1.0):
        batch["told"] = torch.zeros(len(batch["told"]), 1, 5, 64)
        batch["told"][..., JAW] = opening
        with torch.no_grad():
            dark.append(float((learner._draw(true, hole, batch).mean(1) < 0.25).float().mean()))
    assert dark[1] > 1.5 * dark[0] + 0.005, "a mouth that is told to open does"


def test_hidden_pixels_reach_neither_network_nor_references(tmp_path: Path) -> None:
    learner = trainee(bundle(tmp_path))
    batch = learner.batch(0, torch.Generator().manual_seed(1))
    batch["light"] = torch.tensor([[1.0], [0.0]]).repeat(len(batch["light"]), 1, 3)
    true, hole = learner._truth(batch)
    assert 0.3 < hole.mean() < 0.7
    seen = torch.where(hole.bool(), 1 - true, true)
    assert not torch.equal(seen, true)
    with torch.no_grad():
        assert torch.equal(learner._draw(true, hole, batch), learner._draw(seen, hole, batch))


def test_references_are_other_frames_of_the_same_person(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    chosen = trainee(made).material.references
    for split in (TRAIN, HELD_OUT):
        first = made.rows(split)
        for shown in (
            chosen.some(first, first, torch.Generator().manual_seed(2)),
            chosen.fixed(first, first),
        ):
            assert shown.shape == (len(first), 5)
            assert (np.abs(shown - first[:, None]) >= CONFIG.apart).all()
            assert (shown // FRAMES == first[:, None] // FRAMES).all()
            assert not set(shown.flatten().tolist()) & set(made.rows(HELD_OUT).tolist())
            assert (np.diff(openings()[shown], axis=1) >= 0).all()
            assert np.ptp(openings()[shown], axis=1).min() > 0.4


def test_batches_follow_from_chance_alone(tmp_path: Path) -> None:
    learner = trainee(bundle(tmp_path))
    one, again, other = (learner.batch(3, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["target"], other["target"])
    assert {len(value) for value in one.values()} == {learner.plan.batch}


def test_a_person_starts_from_general_weights(tmp_path: Path) -> None:
    made = bundle(tmp_path, people=False)
    general = trainee(made).drawer.state_dict()
    start = {f"drawer/{name}": 0.9 * value for name, value in general.items()}
    start["critic/other"] = torch.zeros(3)
    learner = trainee(made, start=start)
    assert learner.personal
    assert learner.plan.steps == CONFIG.courses[-1].own.steps  # type: ignore[union-attr]
    assert all(
        torch.equal(start[f"drawer/{name}"], value) for name, value in learner.drawer.state_dict().items()
    )
    with opened("cpu") as place:
        done = train(learner, tmp_path / "state", "x", place=place)
    assert done.step == learner.plan.steps


def test_a_person_who_starts_from_nothing_learns_as_everybody_does(tmp_path: Path) -> None:
    learner = trainee(bundle(tmp_path, people=False))
    assert learner.plan.steps == CONFIG.courses[-1].plan.steps
    assert learner.optimisers()["drawer"].param_groups[0]["lr"] == CONFIG.courses[-1].rate
    assert learner.drawer.steady


def test_somebody_tells_apart_from_their_time_on(tmp_path: Path) -> None:
    learner = trainee(bundle(tmp_path, steps=10))
    assert [turn.name for turn in learner.turns(4)] == ["draw"]
    assert [turn.name for turn in learner.turns(5)] == ["tell", "play"]


def test_norms_stand_still_for_a_person(tmp_path: Path) -> None:
    config = replace(CONFIG, widths=replace(CONFIG.widths, norm=True))
    general, own = trainee(bundle(tmp_path, config), config), trainee(bundle(tmp_path, config, False), config)
    for learner, moves in ((general, True), (own, False)):
        learner.drawer.train()
        before = {k: v.clone() for k, v in learner.drawer.named_buffers() if "running" in k}
        learner.losses("draw", learner.batch(0, torch.Generator().manual_seed(0)))
        changed = any(not torch.equal(before[k], dict(learner.drawer.named_buffers())[k]) for k in before)
        assert before
        assert changed == moves


def test_clips_are_told_apart_as_clips(tmp_path: Path) -> None:
    course = replace(CONFIG.courses[-1], window=5, told_from=0.0)
    config = replace(CONFIG, courses=(course,))
    learner = trainee(bundle(tmp_path, config, steps=2, batch=2, evaluate_every=2), config)
    with opened("cpu") as place:
        done = train(learner, tmp_path / "state", "x", place=place)
    assert {"tell/clip_critic_loss", "play/clip_critic"} <= set(done.curves)
    batch = learner.batch(0, torch.Generator().manual_seed(0))
    assert batch["target"].shape == (2, 5, SIDE, 40, 3)
    assert batch["references"].shape == (2, 5, SIDE, 40, 3)


def scored_by(folder: Path) -> tuple[DINetConfig, Bundle]:
    """Clips, and an expert that knows nothing yet in their bundle."""
    course = replace(CONFIG.courses[-1], window=5, told_from=1.0)
    config = replace(CONFIG, courses=(course,), losses=replace(CONFIG.losses, sync=0.1))
    made = bundle(folder, config, batch=2, steps=2)
    torch.manual_seed(0)
    expert = SyncNet(SyncConfig.preset("smoke")).state_dict()
    brought = as_arrays("sync", {f"expert/{name}": value.numpy() for name, value in expert.items()})
    about, arrays = made.about, {**made.arrays, **brought}
    return config, Bundle(write_bundle(folder / "scored.bundle", about, arrays))


def test_the_expert_is_asked_about_clips(tmp_path: Path) -> None:
    config, made = scored_by(tmp_path)
    learner = trainee(made, config)
    assert "expert" in learner.helpers
    batch = learner.batch(0, torch.Generator().manual_seed(0))
    told = learner.losses("draw", batch)
    told["sync"].backward()
    assert learner.drawer.decoder.end.weight.grad is not None
    assert learner.drawer.decoder.end.weight.grad.abs().max() > 0
    assert all(one.grad is None for one in learner.helpers["expert"].parameters())
    other = {**batch, "heard": batch["heard"].roll(1, 0)}
    assert not torch.equal(learner.losses("draw", other)["sync"], told["sync"])


def test_a_bundle_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    about = About("dinet", "frame", "smoke", CONFIG.as_dict())
    made = Bundle(write_bundle(tmp_path / "b", about, {"target": np.zeros((1, 2), "f4")}))
    with pytest.raises(ValueError, match="lacks mask, around"):
        trainee(made)
    wider = replace(CONFIG, courses=(replace(CONFIG.courses[-1], side=104),))
    with pytest.raises(ValueError, match="canvases of 52 pixels, not 104"):
        trainee(bundle(tmp_path), wider)
    scored, _ = scored_by(tmp_path)
    with pytest.raises(ValueError, match="does not bring the weights 'sync'"):
        trainee(bundle(tmp_path, scored), scored)
