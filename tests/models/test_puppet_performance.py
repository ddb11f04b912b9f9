# ruff: noqa: RUF001 - letters of the phonetic alphabet look like others on purpose
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.puppet.expression import CONTROLS
from models.puppet.performance import perform
from models.puppet.phonetics import SILENCE, Phoneme

PHONEMES = [
    Phoneme(0.3, 0.4, "m", 0, 0),
    Phoneme(0.4, 0.6, "ɑː", 2, 0),
    Phoneme(0.6, 0.7, "f", 0, 1),
    Phoneme(0.7, 0.95, "uː", 2, 1),
]

PROGRAM = """
import hashlib
from models.puppet.performance import perform
from models.puppet.phonetics import Phoneme
p = perform([Phoneme(0.3, 0.5, "a", 2), Phoneme(0.5, 0.7, "w")], 4.0, rate=25, seed=11)
print(hashlib.sha256(p.expressions.tobytes() + p.poses.tobytes()).hexdigest())
"""


def test_shapes_types_and_phonemes_of_frames():
    performance = perform(PHONEMES, 1.2, rate=25, seed=4)
    assert len(performance) == 30
    assert performance.expressions.shape == (30, len(CONTROLS))
    assert performance.poses.shape == (30, 6)
    assert performance.expressions.dtype == performance.poses.dtype == np.float32
    assert performance.phonemes[0] == SILENCE
    assert performance.phonemes[8] == "m"
    assert performance.phonemes[10] == "ɑː"
    assert performance.phonemes[24] == SILENCE


@pytest.mark.parametrize("rates", [(25, 50), (25, 100), (30, 60), (24, 48)])
def test_rates_agree_at_common_times(rates):
    slow, fast = (perform(PHONEMES, 4.0, rate=r, seed=7) for r in rates)
    step = rates[1] // rates[0]
    np.testing.assert_allclose(slow.expressions, fast.expressions[::step], atol=1e-6)
    np.testing.assert_allclose(slow.poses, fast.poses[::step], atol=1e-5)
    assert slow.phonemes == fast.phonemes[::step]


def test_values_stay_in_range():
    performance = perform(PHONEMES, 30.0, seed=2)
    assert performance.expressions[:, :-2].min() >= 0.0
    assert np.abs(performance.expressions).max() <= 1.0


def test_seed_changes_the_person_but_not_the_words():
    one, two = perform(PHONEMES, 1.5, seed=1), perform(PHONEMES, 1.5, seed=2)
    mouth = [i for i, name in enumerate(CONTROLS) if name.startswith(("jaw", "lips", "lower", "tongue"))]
    np.testing.assert_array_equal(one.expressions[:, mouth], two.expressions[:, mouth])
    assert not np.allclose(one.poses, two.poses)


def test_another_process_performs_the_same():
    def digest() -> str:
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, cwd=root, timeout=60
        )
        return done.stdout.strip()

    first = digest()
    assert len(first) == 64
    assert first == digest()


@pytest.mark.parametrize(("duration", "rate"), [(0, 25), (-1, 25), (1, 0), (1, 1000), (float("nan"), 25)])
def test_impossible_requests_are_refused(duration, rate):
    with pytest.raises(ValueError, match="performance"):
        perform(PHONEMES, duration, rate=rate)
