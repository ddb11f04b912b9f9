"""A speaker's rows at its own rate, read at a template's frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.methods import AROUND_S, Motion, Sound
from models.morphable import builtin
from storage.errors import WorkError
from tasks.dubbing.gate import MOUTH
from tasks.dubbing.hearing import Hearing
from tasks.dubbing.motion import move
from tasks.dubbing.spool import SpoolWriter


class Ramp:
    """Every coefficient is the time of its row's middle; blinks are told too."""

    def __init__(self, rate: float, seconds: float) -> None:
        self.rate, self.count = rate, round(rate * seconds)

    def listen(self, sound: Sound) -> Iterator[Motion]:
        for start in range(0, self.count, 7):
            at = (torch.arange(start, min(start + 7, self.count)) + 0.5) / self.rate
            yield Motion(at[:, None].expand(-1, 64).clone(), blink=at.clone())


def hearing(folder: Path, voice: np.ndarray) -> Hearing:
    for name, width in (("speech", 29), ("loudness", 1), ("voice", 1), ("mel", 80)):
        with SpoolWriter(folder / f"{name}.f32", width) as spool:
            spool.append(np.repeat(voice[:, None], width, 1))
    return Hearing(folder, len(voice) / 50, ())


@pytest.mark.parametrize(("own", "rate"), [(25.0, 25.0), (25.0, 30000 / 1001), (30.0, 24.0), (30.0, 60.0)])
def test_rows_stand_where_their_time_is(tmp_path: Path, own: float, rate: float) -> None:
    made = move(Ramp(own, 4), hearing(tmp_path, np.ones(200, np.float32)), tmp_path, rate, np.zeros(64))  # type: ignore[arg-type]
    rows = made.at(10, 80)
    wanted = (np.arange(10, 80) + 0.5) / rate
    np.testing.assert_allclose(rows.expression[:, 0], wanted, atol=1e-4)
    assert rows.blink is not None
    np.testing.assert_allclose(rows.blink, wanted, atol=1e-4)
    assert rows.rotation is None
    # The same rows, however they are asked for.
    np.testing.assert_array_equal(made.at(40, 41).expression[0], rows.expression[30])
    assert len(made.at(0, round(4 * rate) + 1).expression) == round(4 * rate) + 1


def test_silence_goes_to_rest_in_the_mouth_alone(tmp_path: Path) -> None:
    voice = np.r_[np.ones(100), np.zeros(100)].astype(np.float32)
    rest = np.full(64, -3, np.float32)
    made = move(Ramp(25.0, 4), hearing(tmp_path, voice), tmp_path, 25.0, rest)  # type: ignore[arg-type]
    rows, mouth = made.at(0, 100).expression.numpy(), builtin().coefficients_of(MOUTH)
    others = np.setdiff1d(np.arange(64), mouth)
    assert (rows[70:, mouth] == -3).all()
    assert (rows[70:, others] > 2.7).all()
    assert (rows[:40, mouth] >= 0).all()


def test_a_speaker_that_stops_half_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="moved 50 rows of 100"):
        move(Ramp(25.0, 2), hearing(tmp_path, np.ones(200, np.float32)), tmp_path, 25.0, np.zeros(64))  # type: ignore[arg-type]


def test_what_is_around_a_frame_is_the_expression_at_those_times(tmp_path: Path) -> None:
    made = move(Ramp(25.0, 4), hearing(tmp_path, np.ones(200, np.float32)), tmp_path, 30.0, np.zeros(64))  # type: ignore[arg-type]
    around = made.at(20, 40).around
    assert around is not None
    wanted = (np.arange(20, 40) + 0.5)[:, None] / 30 + np.array(AROUND_S)
    np.testing.assert_allclose(around[..., 0], wanted, atol=1e-4)


class Listener(Ramp):
    """Hears three numbers, and others in silence."""

    silence = torch.tensor([7.0, 8.0, 9.0])

    def listen(self, sound: Sound) -> Iterator[Motion]:
        for motion in super().listen(sound):
            yield motion._replace(heard=motion.expression[:, :3])


def test_what_a_method_heard_goes_to_its_silence_where_nobody_speaks(tmp_path: Path) -> None:
    voice = np.ones(400, np.float32)
    voice[150:] = 0
    made = move(Listener(25.0, 8), hearing(tmp_path, voice), tmp_path, 25.0, np.zeros(64, np.float32))
    early, late = made.at(25, 26), made.at(180, 181)
    assert early.heard is not None
    assert late.heard is not None
    assert early.blink is not None
    np.testing.assert_allclose(early.heard[0], np.repeat(25.5 / 25, 3), atol=1e-3)
    np.testing.assert_allclose(late.heard[0], [7, 8, 9], atol=1e-3)
    # What is read again from disk is the same.
    again = move(Listener(25.0, 8), hearing(tmp_path, voice), tmp_path, 25.0, np.zeros(64, np.float32))
    assert torch.equal(again.at(25, 26).heard, early.heard)  # type: ignore[arg-type]
