"""Sounds that dubs are asked to say: in step with the pictures, and wrong ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from storage.media import read_sound
from tasks.measuring import RATE, earlier, in_step, write_sound


@pytest.mark.parametrize("late_s", [0.0, 0.24, -0.2])
def test_a_sound_is_brought_in_step_and_to_length(late_s: float) -> None:
    t = np.arange(3 * RATE) / RATE
    whole = np.sin(2 * np.pi * 3 * t**2).astype(np.float32)
    heard = np.interp(t - late_s, t, whole, left=0, right=0).astype(np.float32)
    found = in_step(heard, late_s, 2.8)
    assert len(found) == 2.8 * RATE
    inner = slice(round(0.3 * RATE), round(2.5 * RATE))
    np.testing.assert_allclose(found[inner], whole[inner], atol=1e-3)
    assert len(in_step(heard, late_s, 3.5)) == 3.5 * RATE


def test_a_wrong_sound_is_the_same_seconds_ago(tmp_path: Path) -> None:
    sound = np.linspace(-0.9, 0.9, 5 * RATE).astype(np.float32)
    moved = earlier(sound, 2)
    np.testing.assert_array_equal(moved[2 * RATE :], sound[: 3 * RATE])
    assert not np.array_equal(earlier(sound[: 2 * RATE], 2), sound[: 2 * RATE]), (
        "a whole turn is the right sound"
    )
    back = read_sound(write_sound(tmp_path / "a.wav", moved), RATE)
    np.testing.assert_allclose(back, moved, atol=1e-4)
