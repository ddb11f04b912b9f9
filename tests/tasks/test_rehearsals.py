"""Rehearsals: the same take again, rows that mean what extraction's rows mean, interrupted work goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.memface.config_expression import ExpressionConfig
from models.morphable.builtin import builtin
from models.puppet.phonetics import SILENCE
from models.track.subset68 import subset68
from models.training import HELD_OUT, TRAIN, Bundle
from tasks import rehearsals
from tasks.audio import AudioBackend, find_backend
from tasks.film import Script, rehearse
from tasks.rehearsals import Plan, Take

PLAN = Plan(takes=2, seconds=5.0)


@pytest.fixture(scope="module")
def backend() -> AudioBackend:
    return find_backend("embedded")


@pytest.fixture(scope="module")
def take(backend: AudioBackend) -> Take:
    return rehearsals.rehearsed(PLAN, 1, backend)


def test_a_take_depends_on_plan_and_number_alone(take: Take, backend: AudioBackend) -> None:
    again = rehearsals.rehearsed(PLAN, 1, backend)
    np.testing.assert_array_equal(again.speech, take.speech)
    np.testing.assert_array_equal(again.expression, take.expression)
    assert again.voice == take.voice
    other = rehearsals.rehearsed(replace(PLAN, seed=1), 1, backend)
    assert not np.array_equal(other.expression, take.expression)


def test_rows_are_in_step_and_whole(take: Take) -> None:
    assert take.speech.shape == (125, 2, 31)
    assert take.expression.shape == (125, 64)
    assert np.isfinite(take.speech).all()
    assert np.isfinite(take.expression).all()
    np.testing.assert_allclose(np.exp(take.speech[..., :29]).sum(-1), 1, atol=1e-2)


def test_fitted_lips_are_the_performed_ones() -> None:
    _, motion, _ = rehearse(Script(60_000, "Papa opened the barn, and a fat cow ambled past.", lead_s=1.0))
    landmarks = rehearsals.landmarks_in_film(60_000, motion)
    expression, identity = rehearsals.seen_rows(landmarks, PLAN, np.random.default_rng(0))
    mouth = list(builtin().mouth)
    vertices = builtin().mouth_vertices(identity, expression)
    gap = np.linalg.norm(vertices[:, mouth.index(13)] - vertices[:, mouth.index(14)], axis=-1)
    true = np.linalg.norm(landmarks[:, 13, :2] - landmarks[:, 14, :2], axis=-1)
    assert np.corrcoef(gap, true)[0, 1] > 0.95
    silent = np.array([symbol == SILENCE for symbol in motion.phonemes])
    assert gap[silent].mean() < 0.5 * gap[~silent].mean()
    assert subset68(landmarks).shape[1] == 68


def test_interrupted_work_goes_on_and_is_read_back(
    tmp_path: Path, backend: AudioBackend, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(plan: Plan, number: int, backend: AudioBackend) -> Take:
        made.append(number)
        return replace(take, voice=f"voice {number}")

    monkeypatch.setattr(rehearsals, "rehearsed", counted)
    rehearsals.make(replace(PLAN, takes=1), tmp_path, backend)
    files = rehearsals.make(PLAN, tmp_path, backend)
    assert made == [0, 1]
    assert [one.voice for one in rehearsals.takes(files)] == ["voice 0", "voice 1"]
    assert not list(tmp_path.glob("*.part"))


def test_a_general_bundle_holds_people_out_whole(tmp_path: Path, take: Take) -> None:
    some = [replace(take, expression=take.expression + k) for k in range(4)]
    config = ExpressionConfig.preset("smoke").as_dict()
    bundle = Bundle(rehearsals.write_general(some, tmp_path / "b", config, held_out=0.25))
    assert bundle.segments(TRAIN) == [(0, 125), (125, 250), (250, 375)]
    assert bundle.segments(HELD_OUT) == [(375, 500)]
    assert np.unique(bundle["speaker"][375:]).tolist() == [3]
    np.testing.assert_allclose(bundle["expression"][130], take.expression[5] + 1, rtol=1e-6)
