"""MFCC, log-mel and loudness against other people's implementations, and all features cut into blocks."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.signal
from ai_edge_litert.interpreter import Interpreter

from models.audio import RATE, SILENCE, log_mel, loudness, mfcc, run, speech_rows, voice_cues
from models.audio.loudness import weighting
from models.audio.mfcc import mfcc_rows
from tests.helpers.tflite_model import write_deepspeech

STREAMS = {"mfcc": mfcc, "mel": log_mel, "loudness": loudness, "voice": voice_cues}


def talk(seconds: float, seed: int = 0) -> np.ndarray:
    """Something like speech: a gliding buzz in syllables, and noise."""
    rng, t = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    buzz = sum(np.sin(h * phase) / h for h in range(1, 30))
    sound = buzz * np.clip(np.sin(2 * np.pi * 3 * t), 0, 1) + 0.01 * rng.standard_normal(len(t))
    return (0.1 * sound).astype(np.float32)


def test_mfcc_is_what_tensorflows_operators_give(tmp_path):
    """The test model carries DeepSpeech's own front end: AudioSpectrogram and Mfcc, as exported."""
    model = Interpreter(str(write_deepspeech(tmp_path / "model.tflite")), num_threads=1)
    model.allocate_tensors()
    places = {tensor["name"]: tensor for tensor in [*model.get_input_details(), *model.get_output_details()]}
    for name in ("input_node", "previous_state_c", "previous_state_h"):
        model.set_tensor(places[name]["index"], np.zeros(places[name]["shape"], np.float32))
    sound = np.concatenate([talk(1.0), np.zeros(600, np.float32), 1e-4 * talk(0.3, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(sound, 512)[::320]
    theirs = []
    for window in windows:
        model.set_tensor(places["input_samples"]["index"], np.ascontiguousarray(window))
        model.invoke()
        theirs.append(model.get_tensor(places["mfccs"]["index"])[0].copy())
    assert np.ptp(theirs) > 100
    np.testing.assert_allclose(mfcc_rows(windows), theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "rows"),
    [(0, 1), (1, 1), (511, 1), (512, 2), (831, 2), (832, 3), (16000, 50), (16100, 50), (16192, 51)],
)
def test_mfcc_has_the_rows_of_deepspeechs_client(samples, rows):
    """One for every whole window, one for what is left."""
    sound = talk(2.0)[:samples]
    made = run(mfcc(), [sound])
    assert made.shape == (rows, 26)
    left = np.zeros(512)
    left[: samples - 320 * (rows - 1)] = sound[320 * (rows - 1) :]
    np.testing.assert_allclose(made[-1], mfcc_rows(left[None])[0], atol=1e-5)


def test_mel_is_librosas():
    sound = talk(3.1)
    emphasised = scipy.signal.lfilter([1, -0.97], [1], sound)
    spectrum = np.abs(librosa.stft(emphasised, n_fft=800, hop_length=200, win_length=800))
    bands = librosa.filters.mel(sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600) @ spectrum
    decibels = 20 * np.log10(np.maximum(1e-5, bands)) - 20
    expected = np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).T
    made = run(log_mel(), [sound])
    assert made.shape == (1 + len(sound) // 200, 80)
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_weighting_is_bs1770s():
    """The coefficients that ITU-R BS.1770 prints for 48 kHz."""
    (b1, a1), (b2, a2) = weighting(48000)
    np.testing.assert_allclose(b1, (1.53512485958697, -2.69169618940638, 1.19839281085285), rtol=1e-9)
    np.testing.assert_allclose(a1, (-1.69065929318241, 0.73248077421585), rtol=1e-9)
    np.testing.assert_allclose(b2, (1, -2, 1))
    np.testing.assert_allclose(a2, (-1.99004745483398, 0.99007225036621), rtol=1e-9)


def test_loudness_is_the_power_of_the_weighted_sound():
    sound = talk(3.0)
    weighted = sound.astype(float)
    for b, a in weighting():
        weighted = scipy.signal.lfilter(b, [1, *a], weighted)
    made = run(loudness(), [sound])
    assert len(made) == speech_rows(len(sound))
    for row in (0, 5, 60, 100, len(made) - 1):
        centre = 320 * row + 160
        inside = weighted[max(0, centre - 3200) : centre + 3200]
        assert made[row] == pytest.approx(-0.691 + 10 * np.log10(np.mean(inside**2)), abs=0.01)


def test_loudness_of_a_full_sine_is_minus_three():
    sine = np.sin(2 * np.pi * 997 * np.arange(2 * RATE) / RATE)
    assert run(loudness(), [sine])[50] == pytest.approx(-3.01, abs=0.1)
    assert run(loudness(), [np.zeros(RATE)]).tolist() == [SILENCE] * 50


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [37, 320, 5000, 100_000])
def test_blocks_change_no_bit(name, size):
    sound = talk(6.3)
    whole = run(STREAMS[name](), [sound])
    blocks = [sound[at : at + size] for at in range(0, len(sound), size)]
    np.testing.assert_array_equal(run(STREAMS[name](), [*blocks, sound[:0]]), whole)


@pytest.mark.parametrize("name", STREAMS)
def test_rows_do_not_depend_on_what_comes_much_later(name):
    """What makes streaming possible: a row looks half a second ahead at most."""
    sound = talk(12.0)
    whole, part = run(STREAMS[name](), [sound]), run(STREAMS[name](), [sound[: 8 * RATE]])
    rows = len(part) - len(part) // 8
    np.testing.assert_array_equal(whole[:rows], part[:rows])


def test_nothing_is_held_for_long():
    stream, sound = log_mel(), talk(1.0)
    for _ in range(100):
        stream.push(sound)
    assert stream._have < 256 * 200 + 2000
