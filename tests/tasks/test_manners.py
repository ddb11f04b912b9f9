"""Whole faces performed to speech: a take repeats itself, manners are seen, people are parted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.facial.columns import BLINK, EXPRESSION, POSE
from models.facial.config_performer import PerformerConfig
from models.facial.manner import measured
from models.facial.network_performer import Generator
from models.facial.performing import load_performer, performed_raw, plain
from models.memface.losses_expression import opening_of
from models.methods import find_method
from models.morphable.builtin import builtin
from models.puppet.motion import Style
from models.training import HELD_OUT, TRAIN, Bundle
from storage.errors import WorkError
from storage.weights import Registry
from tasks import manners
from tasks.acoustic.voices import speakers
from tasks.audio import AudioBackend, find_backend
from tasks.manners import Actor, Performed
from tasks.rehearsals import Plan
from tasks.training import read_weights
from tasks.watching import best_shift

PLAN = Plan(takes=2, seconds=10.0)
CONFIG = find_method("facial").config("smoke").as_dict()


@pytest.fixture(scope="module")
def backend() -> AudioBackend:
    return find_backend("embedded")


def _acted(style: Style, number: int, backend: AudioBackend) -> Performed:
    voice = next(one for one in speakers() if one.engine == "espeak" and one.language == "en")
    take = manners.acted(Actor(7, style, voice), PLAN, number, np.random.default_rng(number), backend)
    assert take is not None
    return take


@pytest.fixture(scope="module")
def calm(backend: AudioBackend) -> Performed:
    return _acted(Style(amounts=(0.4, 0.4, 0.4), blinks_per_minute=6.0), 0, backend)


def test_rows_are_whole_and_in_step(calm: Performed) -> None:
    assert calm.performed.shape == (300, 71)
    assert calm.symbols.shape == (300, 29)
    assert np.isfinite(calm.performed).all()
    np.testing.assert_allclose(np.exp(calm.symbols).sum(-1), 1, atol=1e-3)
    assert 0 <= calm.performed[:, BLINK].min() <= calm.performed[:, BLINK].max() <= 5


def test_a_manner_is_seen_in_what_is_performed(calm: Performed, backend: AudioBackend) -> None:
    lively = _acted(Style(amounts=(1.7, 1.7, 1.7), blinks_per_minute=35.0), 0, backend)
    still, busy = (measured([torch.from_numpy(take.performed)]) for take in (calm, lively))
    assert busy.blinks > 2 * still.blinks
    assert (busy.spread[:3] > 2 * still.spread[:3]).all()


def test_the_same_person_moves_otherwise_in_every_take(calm: Performed, backend: AudioBackend) -> None:
    style = Style(amounts=(0.4, 0.4, 0.4), blinks_per_minute=6.0)
    again, other = (_acted(style, number, backend) for number in (0, 1))
    np.testing.assert_array_equal(again.performed, calm.performed)
    assert np.abs(np.corrcoef(other.performed[:, 1], calm.performed[:, 1])[0, 1]) < 0.9
    assert np.abs(other.performed[:, POSE] - calm.performed[:, POSE]).max() > 1


@pytest.fixture(scope="module")
def shipped() -> Generator:
    tensors = {
        name: torch.from_numpy(values).float()
        for name, values in read_weights(Registry().find("facial_performer").path).items()
    }
    return load_performer(PerformerConfig.preset("cpu"), tensors)


def _gap(net: Generator, symbols: np.ndarray) -> np.ndarray:
    rows = performed_raw(net, plain(torch.from_numpy(symbols)))
    return (rows[:, EXPRESSION] @ opening_of(builtin())).numpy()


def test_a_mouth_follows_what_is_heard(shipped: Generator, calm: Performed) -> None:
    """One sound that goes on makes a mouth that stands still; speech that comes later moves it later."""
    own = _gap(shipped, calm.symbols)
    one = _gap(shipped, np.repeat(calm.symbols[:1], 300, axis=0))
    # A window begins from a state of its own: what is left of that is no speech.
    assert one[40:].std() < 0.35 * own[40:].std()
    late = 9
    delayed = _gap(shipped, np.concatenate([np.repeat(calm.symbols[:1], late, axis=0), calm.symbols[:-late]]))
    assert best_shift(delayed.astype(float), own.astype(float), 20) == late


def _some(count: int) -> list[Performed]:
    draw = np.random.default_rng(0)
    return [
        Performed(
            np.full((30, 29), -np.log(29), np.float32), draw.normal(size=(30, 71)).astype(np.float32), f"{k}"
        )
        for k in range(count)
    ]


def test_people_are_parted_five_to_one_to_four(tmp_path: Path) -> None:
    bundle = Bundle(manners.write_general(_some(20), tmp_path / "b", CONFIG, preset="smoke"))
    splits = [one.split for one in bundle.about.segments]
    assert splits == [TRAIN] * 10 + [HELD_OUT] * 2
    assert bundle.speakers().max() == 11
    np.testing.assert_allclose(bundle["clip_mean"][3], bundle["performed"][90:120].mean(0), atol=1e-5)
    trainee = find_method("facial").trainee(
        "performer", find_method("facial").config_from(bundle.about.config), bundle, None
    )
    assert trainee.plan.steps == CONFIG["performer"]["steps"]
    with pytest.raises(WorkError, match="cannot be parted"):
        manners.write_general(_some(1), tmp_path / "c", CONFIG)


def test_interrupted_work_goes_on_and_is_read_back(
    tmp_path: Path, backend: AudioBackend, calm: Performed, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(plan: Plan, number: int, backend: AudioBackend) -> Performed:
        made.append(number)
        return replace(calm, voice=f"voice {number}")

    monkeypatch.setattr(manners, "_someone", counted)
    manners.make(replace(PLAN, takes=1), tmp_path, backend)
    files = manners.make(PLAN, tmp_path, backend)
    assert made == [0, 1]
    read = list(manners.performances(files))
    assert [one.voice for one in read] == ["voice 0", "voice 1"]
    np.testing.assert_array_equal(read[0].performed, calm.performed)
