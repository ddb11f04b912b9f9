"""Sound to expression is trained: in turns, resumed as if never paused, adapted to a person with moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from models.memface.config_expression import ExpressionConfig
from models.memface.expression import NETWORK, ExpressionTrainee, load_expression
from models.memface.listening import paired
from models.methods import Trainee
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, write_bundle
from models.training.devices import Place
from models.training.engine import Paused, Trained, train
from tests.helpers.expressions import SMOKE, all_of, living, rows_of, sound

HERE = Place(torch.device("cpu"))


def bundle_of(
    folder: Path,
    config: ExpressionConfig,
    *,
    people: int = 0,
    rows: int = 300,
    lead: int = 0,
    symbol: int = 2,
) -> Bundle:
    """Mouths that follow a symbol, `lead` half rows after it; for as many people as told."""
    chance = np.random.default_rng(5)
    count = rows * max(people, 1)
    speech = np.zeros((count, 2, 31), np.float32)
    wave = np.convolve(chance.normal(size=2 * count), np.ones(5) / 2, "same")
    speech[..., :29] = -4
    speech[..., symbol] = -4 + 2 * wave.reshape(count, 2)
    speech[..., 29], speech[..., 30] = -25, 1
    expression = np.zeros((count, 64), np.float32)
    expression[:, 0] = 0.5 * np.roll(wave, -lead).reshape(count, 2).mean(1) + 0.3
    parts = max(people, 1)
    segments = [
        Segment("clip", k * rows, (k + 1) * rows, 25.0, TRAIN if k < parts - 1 or parts == 1 else HELD_OUT)
        for k in range(parts)
    ]
    if parts == 1:
        cut = int(0.8 * rows)
        segments = [Segment("clip", 0, cut, 25.0, TRAIN), Segment("clip", cut, rows, 25.0, HELD_OUT)]
    arrays = {
        "speech": speech,
        "expression": expression,
        "trust": np.ones(count, np.float32),
        "identity": np.zeros(80, np.float32),
    }
    if people:
        arrays["speaker"] = np.repeat(np.arange(people), rows).astype(np.int32)
    about = About("memface", "expression", "smoke", config.as_dict(), 4, {}, segments)
    return Bundle(write_bundle(folder / "b.safetensors", about, arrays))


def trained(bundle: Bundle, config: ExpressionConfig, folder: Path, limit: float | None = None) -> Trained:
    return train(ExpressionTrainee(config, bundle), folder, "same", place=HERE, limit_seconds=limit)


def test_memory_and_the_rest_learn_in_turn(tmp_path: Path) -> None:
    config = replace(SMOKE, steps=8)
    trainee = ExpressionTrainee(config, bundle_of(tmp_path, config, people=3))
    names = [[turn.name for turn in trainee.turns(step)] for step in range(8)]
    assert names == [["memory"], ["rest"], ["memory"], ["rest"], ["all"], ["all"], ["all"], ["all"]]
    owned = {
        name: {id(p) for g in o.param_groups for p in g["params"]} for name, o in trainee.optimisers().items()
    }
    assert trainee.net.memory is not None
    assert owned["memory"] == {id(p) for p in trainee.net.memory.parameters()}
    assert owned["rest"] == {id(p) for p in trainee.net.parameters()} - owned["memory"]


@pytest.mark.parametrize("steps", [1, 3])
def test_who_is_not_at_turn_stands_still(tmp_path: Path, steps: int) -> None:
    config = replace(SMOKE, steps=steps, alternating=1.0)
    bundle = bundle_of(tmp_path, config, people=3)
    states = []
    for count in (steps, steps - 1):
        trainee = ExpressionTrainee(replace(config, steps=1000, alternating=1.0), bundle)
        # The engine's own way through the first steps of a longer course.
        trainee.plan = replace(
            trainee.plan, averaged_steps=0.0, evaluate_every=1000, warm_up=0.0, save_seconds=0
        )
        limited = cast(Trainee, _Stops(trainee, count))
        with pytest.raises(ValueError, match="enough"):
            train(limited, tmp_path / f"{count}", "same", place=HERE)
        states.append({name: value.clone() for name, value in trainee.net.state_dict().items()})
    moved = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    assert moved
    # Step 1 is memory's, step 3 too: momentum of the rest, gathered at step 2, must not show.
    assert all(name.startswith("memory.") for name in moved)


class _Stops:
    """A trainee that gives no more than so many batches."""

    def __init__(self, trainee: ExpressionTrainee, count: int) -> None:
        self._trainee, self._count = trainee, count

    def __getattr__(self, name: str) -> object:
        return getattr(self._trainee, name)

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        if step >= self._count:
            raise ValueError("enough")
        return self._trainee.batch(step, draw)


def test_a_training_that_was_paused_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    config = replace(SMOKE, steps=7)
    bundle = bundle_of(tmp_path, config, people=3)
    whole = trained(bundle, config, tmp_path / "whole")
    pauses = 0
    while True:
        try:
            parted = trained(bundle, config, tmp_path / "parted", limit=0.0)
            break
        except Paused:
            pauses += 1
    assert pauses == 6
    assert whole.best.judged == parted.best.judged
    for name, value in whole.best.tensors.items():
        assert torch.equal(value, parted.best.tensors[name]), name


QUICK = replace(SMOKE, steps=120, rate=3e-3, dropout=0.0, hush=0.0, batch=8, temper=0.0)


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("general")
    return trained(bundle_of(folder, QUICK, people=4), QUICK, folder / "w")


def test_general_training_learns_what_it_is_shown(general: Trained) -> None:
    assert general.best.judged["opening_correlation"] > 0.9
    assert 0.5 < general.best.judged["slots_entropy"] <= 1.0


@pytest.mark.parametrize("lead", [2, -2])
def test_adaptation_finds_how_far_lips_run_ahead(tmp_path: Path, general: Trained, lead: int) -> None:
    own = ExpressionTrainee(QUICK, bundle_of(tmp_path, QUICK, rows=600, lead=lead), general.best.tensors)
    assert int(own.net.lead) == lead
    assert len(own.net.moments) == 480
    assert not own.net.reads_mel
    with torch.no_grad():
        own.net.eval()
        assert own.judge()["opening_correlation"] > 0.95


def test_moments_say_what_the_general_network_leaves(tmp_path: Path, general: Trained) -> None:
    """Lips that follow a symbol of which the general network knows nothing, held-out rows."""
    bundle = bundle_of(tmp_path, QUICK, rows=900, symbol=7)
    own = ExpressionTrainee(QUICK, bundle, general.best.tensors)
    own.net.eval()
    with torch.no_grad():
        told = own.judge()["opening_correlation"]
        own.net.moments.values.zero_()
        own.adapted = None
        assert told > own.judge()["opening_correlation"] + 0.25


def test_what_sounds_like_no_moment_is_left_to_the_general_network() -> None:
    net = living(mel=False)
    strange = rows_of(sound(100, 3))
    strange[:, :29] = -8.0
    strange[:, 5] = 0.0
    strange[:, 29] = -100.0
    told = (paired(strange)[None], torch.ones(1, 50), torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(net(*told), net.general(*told) * net.chosen, atol=0.05, rtol=0)


def test_fewer_moments_than_rows_still_hear_all_rows(
    tmp_path: Path, general: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, QUICK, rows=900, symbol=7)
    told = []
    for most in (3000, 300):
        monkeypatch.setattr("models.memface.adaptation._MOST_MOMENTS", most)
        own = ExpressionTrainee(QUICK, bundle, general.best.tensors)
        own.net.eval()
        assert len(own.net.moments) == min(most, 720)
        with torch.no_grad():
            told.append(own.judge()["opening_correlation"])
    assert told[1] > 0.8 * told[0]


def test_an_adapted_network_is_loaded_as_it_was_saved(tmp_path: Path, general: Trained) -> None:
    own = ExpressionTrainee(QUICK, bundle_of(tmp_path, QUICK), general.best.tensors).net.eval()
    tensors = {f"{NETWORK}/{name}": value for name, value in own.state_dict().items()}
    again = load_expression(QUICK, tensors)
    assert torch.equal(all_of(again, iter([sound(200)])), all_of(own, iter([sound(200)])))


def test_a_batch_depends_on_its_draw_alone(tmp_path: Path) -> None:
    trainee = ExpressionTrainee(SMOKE, bundle_of(tmp_path, SMOKE, people=3))
    one, same, other = (trainee.batch(9, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["speech"], other["speech"])


def test_windows_count_no_row_of_another_run(tmp_path: Path) -> None:
    trainee = ExpressionTrainee(
        replace(SMOKE, hush=0.0, window=80), bundle_of(tmp_path, SMOKE, people=9, rows=50)
    )
    for seed in range(20):
        batch = trainee.batch(0, torch.Generator().manual_seed(seed))
        assert (batch["weight"].sum(1) == 50).all()
        assert (batch["valid"].sum(1) == 50).all()
