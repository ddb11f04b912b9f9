"""Voice activity on synthesised speech whose pauses are known, in noise, at all levels."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from models.audio import RATE, activity, run, voice_cues
from tasks.speech import Voice, speak

TEXT = "The river was high. Nobody had seen it like this, not even the old people. We stayed at home."


@pytest.fixture(scope="module")
def spoken() -> tuple[np.ndarray, np.ndarray]:
    """Sound at 16 kHz, and for each of its 20 ms whether something is said."""
    speech = speak(TEXT, Voice("en-gb", "f4")).with_silence(1.0, 1.0)
    sound = librosa.resample(speech.samples, orig_sr=speech.rate, target_sr=RATE)
    said = np.zeros(-(-len(sound) // 320), bool)
    for phoneme in speech.phonemes:
        if not phoneme.silent:
            said[int(phoneme.start_s * 50) : int(phoneme.end_s * 50) + 1] = True
    return sound, said


def heard(sound: np.ndarray) -> np.ndarray:
    return activity(run(voice_cues(), [sound])) > 0.5


def agreement(sound: np.ndarray, said: np.ndarray) -> tuple[float, float]:
    """Shares of speech and of silence that are told as such.

    A voice fades for a tenth of a second after its last phoneme, audibly: those rows may be either.
    """
    found = heard(sound)
    fading = np.convolve(said, np.ones(7))[: len(said)] > 0
    return float(found[said].mean()), float(1 - found[~fading].mean())


@pytest.mark.parametrize("gain_db", [0, -20, -40])
def test_clean_speech_at_any_level(spoken, gain_db):
    sound, said = spoken
    speech, silence = agreement(sound * 10 ** (gain_db / 20), said)
    assert speech > 0.95
    assert silence > 0.9


@pytest.mark.parametrize("noise", ["white", "hum"])
@pytest.mark.parametrize("ratio_db", [20, 10])
def test_speech_in_noise(spoken, noise, ratio_db):
    sound, said = spoken
    t = np.arange(len(sound)) / RATE
    added = (
        np.random.default_rng(0).standard_normal(len(sound))
        if noise == "white"
        else sum(np.sin(2 * np.pi * 50 * h * t) / h for h in range(1, 9))
    )
    power = np.mean(sound[np.repeat(said, 320)[: len(sound)]] ** 2)
    added *= np.sqrt(power / np.mean(added**2) / 10 ** (ratio_db / 10))
    speech, silence = agreement(sound + added, said)
    assert speech > 0.85
    assert silence > 0.85


def test_noise_alone_is_no_voice():
    noise = np.random.default_rng(1).standard_normal(20 * RATE)
    assert heard(0.01 * noise).mean() < 0.2
    assert not heard(1e-5 * noise).any()
    assert not heard(np.zeros(5 * RATE)).any()


@pytest.mark.parametrize("samples", [0, 1, 100, 400, 5000])
def test_the_shortest_sounds(samples):
    told = activity(run(voice_cues(), [np.ones(samples, np.float32)]))
    assert told.shape == (-(-samples // 320),)
    assert np.isfinite(told).all()
