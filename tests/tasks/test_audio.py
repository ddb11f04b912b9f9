"""Backends and features of whole clips: windows, context, state, lengths, silence, refusals."""

from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from models.audio import RATE, mfcc, run
from storage.clips import create, open_clip, standard
from storage.errors import MediaError, RequestError, WeightsError
from storage.media import MediaWriter, read_sound
from tasks.audio import (
    DeepSpeechBackend,
    extract_audio,
    features_of,
    find_backend,
    frames_from_speech,
)
from tasks.features import write_audio
from tests.helpers.tflite_model import DeepSpeechShape, Graph, write_deepspeech

SHAPE = DeepSpeechShape(state=6, seed=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_deepspeech(tmp_path_factory.mktemp("model") / "small.tflite", SHAPE)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    swell = 0.05 + 0.05 * np.sin(np.arange(samples) / 3000)
    return (rng.standard_normal(samples) * swell).astype(np.float32)


def expected(sound: np.ndarray, shape: DeepSpeechShape = SHAPE) -> np.ndarray:
    """DeepSpeech's own procedure, straight: all windows of all rows, one after the other."""
    cepstra = run(mfcc(), [sound])
    padded = np.pad(cepstra, ((9, 9), (0, 0)))
    windows = np.stack([padded[k : k + 19].ravel() for k in range(len(cepstra))])
    probabilities, _ = shape.infer(windows, (np.zeros(shape.state), np.zeros(shape.state)))
    return np.log(probabilities)


@pytest.mark.parametrize("samples", [0, 1, 320, 5000, 16 * 320, 17 * 320, 48000, 48100, 99999])
def test_windows_context_and_state(model, samples):
    """One row or many, a whole number of batches or not: what numpy computes without batches."""
    sound = noise(samples)
    rows = np.concatenate(list(DeepSpeechBackend(model).stream([sound])))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected(sound), atol=2e-4)
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1, atol=1e-5)


def test_state_matters_here(model):
    """The test above proves nothing about state unless the state changes the answers."""
    sound = noise(48000)
    cepstra = run(mfcc(), [sound])
    padded = np.pad(cepstra, ((9, 9), (0, 0)))
    fresh, _ = SHAPE.infer(padded[64 : 64 + 19].reshape(1, -1), (np.zeros(6), np.zeros(6)))
    assert np.abs(np.log(fresh[0]) - expected(sound)[64]).max() > 0.05


@pytest.mark.parametrize("size", [100, 5001, 64000])
def test_blocks_change_no_bit(model, size):
    sound, backend = noise(100_000), DeepSpeechBackend(model)
    whole = np.concatenate(list(backend.stream([sound])))
    parts = backend.stream(sound[at : at + size] for at in range(0, len(sound), size))
    np.testing.assert_array_equal(np.concatenate(list(parts)), whole)


def test_rows_come_while_sound_goes_in(model):
    """Bounded memory: nothing waits for the end."""
    given = 0

    def blocks():
        nonlocal given
        for _ in range(60):
            given += 1
            yield noise(RATE)

    rows = DeepSpeechBackend(model).stream(blocks())
    next(rows)
    assert given < 10


def test_raw_logits_are_told_from_probabilities(tmp_path):
    shape = DeepSpeechShape(state=6, seed=3, softmax=False)
    backend = DeepSpeechBackend(write_deepspeech(tmp_path / "raw.tflite", shape))
    rows = np.concatenate(list(backend.stream([noise(20000)])))
    np.testing.assert_allclose(rows, expected(noise(20000)), atol=2e-4)


def test_other_names_and_sizes(tmp_path):
    shape = DeepSpeechShape(state=5, steps=4, seed=8)
    names = {"input_node": "serving_default_input_node:0", "logits": "Identity", "new_state_c": "Identity_1"}
    path = write_deepspeech(tmp_path / "other.tflite", shape, **names, new_state_h="Identity_2")
    rows = np.concatenate(list(DeepSpeechBackend(path).stream([noise(30000)])))
    np.testing.assert_allclose(rows, expected(noise(30000), shape), atol=2e-4)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (DeepSpeechShape(features=13), "no input of windows of 19 x 26 MFCC"),
        (DeepSpeechShape(context=5), "no input of windows of 19 x 26 MFCC"),
        (DeepSpeechShape(symbols=33), "no output of 16 rows of 29 symbols"),
    ],
)
def test_another_model_is_refused_in_one_line(tmp_path, shape, said):
    path = write_deepspeech(tmp_path / "another.tflite", shape)
    with pytest.raises(WeightsError, match=said) as caught:
        DeepSpeechBackend(path)
    assert "another.tflite" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_state_is_refused(tmp_path):
    graph = Graph()
    window, out = graph.tensor("input_node", (1, 16, 19, 26)), graph.tensor("logits", (16, 29))
    flat = graph.tensor("flat", (16, 494))
    graph.add("RESHAPE", [window, graph.constant([16, 494], "int32")], [flat])
    weights = [graph.constant(np.zeros((29, 494))), graph.constant(np.zeros(29))]
    graph.add("FULLY_CONNECTED", [flat, *weights], [out])
    with pytest.raises(WeightsError, match="LSTM state"):
        DeepSpeechBackend(graph.write(tmp_path / "stateless.tflite", [window], [out]))


def test_a_harmed_file_is_refused(tmp_path, model):
    path = tmp_path / "cut.tflite"
    path.write_bytes(model.read_bytes()[:3000])
    with pytest.raises(WeightsError, match="LiteRT cannot run"):
        DeepSpeechBackend(path)


def test_a_backend_pickles(model):
    backend = pickle.loads(pickle.dumps(DeepSpeechBackend(model, "abc")))
    assert (backend.name, backend.version) == ("deepspeech", "abc")


def test_finding_a_backend(model, home, monkeypatch):
    monkeypatch.setenv("MEMDUB_WEIGHTS_DEEPSPEECH", str(model))
    found = find_backend("deepspeech", home.url)
    assert len(found.version) == 64
    with pytest.raises(RequestError, match="embedded, deepspeech"):
        find_backend("whisper")


def clip(path: Path, *, frames: int, rate: Fraction, sound_s: float | None) -> Path:
    with MediaWriter(path, (64, 64), rate, None if sound_s is None else 16000) as writer:
        if sound_s is not None:
            writer.write_sound(noise(round(sound_s * 16000)))
        for i in range(frames):
            writer.write_frame(np.full((64, 64, 3), i % 256, np.uint8))
    return path


@pytest.mark.parametrize(
    ("frames", "rate", "rows"),
    [(25, Fraction(25), 50), (26, Fraction(25), 52), (31, Fraction(30000, 1001), 52), (24, Fraction(24), 50)],
)
def test_as_long_as_the_picture(model, tmp_path, frames, rate, rows):
    """T50 = ceil(duration * 50), though sound ends before."""
    features = extract_audio(
        clip(tmp_path / "c.mp4", frames=frames, rate=rate, sound_s=0.7), DeepSpeechBackend(model)
    )
    assert len(features.deepspeech) == len(features.loudness) == len(features.voice) == rows
    assert len(features.mel) == 1 + int(frames / rate * 80)
    assert features.mel[-8:].max() == -4


def test_a_clip_is_read_like_its_sound(model, tmp_path):
    path = clip(tmp_path / "c.mp4", frames=75, rate=Fraction(25), sound_s=3.0)
    backend = DeepSpeechBackend(model)
    features = extract_audio(path, backend)
    direct = features_of([read_sound(path, RATE)], backend, 48000)
    for name, values in features.arrays().items():
        np.testing.assert_array_equal(values, direct.arrays()[name], err_msg=name)


def test_a_silent_clip(model, tmp_path):
    """What the network says to silence, no voice, the lowest loudness."""
    features = extract_audio(
        clip(tmp_path / "s.mp4", frames=50, rate=Fraction(25), sound_s=None), DeepSpeechBackend(model)
    )
    np.testing.assert_allclose(features.deepspeech, expected(np.zeros(32000, np.float32)), atol=2e-4)
    assert not features.voice.any()
    assert (features.loudness == -100).all()
    assert (features.mel == -4).all()


def test_a_published_group(model, tmp_path):
    path = clip(tmp_path / "c.mp4", frames=30, rate=Fraction(25), sound_s=1.2)
    backend = DeepSpeechBackend(model, "abc")
    write_audio(path, tmp_path / "audio.zarr", backend, {"identity": "anna", "fps": 25.0})
    group = open_clip(tmp_path / "audio.zarr")
    for name, values in extract_audio(path, backend).arrays().items():
        np.testing.assert_array_equal(group.read(name), values)
    np.testing.assert_allclose(group.read("audio/speech_time")[:2], [0, 0.02])
    np.testing.assert_allclose(group.read("audio/mel_time")[:2], [0, 0.0125])
    assert (group.attrs["speech"], group.attrs["speech_sha256"]) == ("deepspeech", "abc")


def test_attempts_at_the_same_group_leave_each_other_alone(model, tmp_path):
    path, told = (
        clip(tmp_path / "c.mp4", frames=30, rate=Fraction(25), sound_s=1.2),
        {"identity": "a", "fps": 25.0},
    )
    backend, target = DeepSpeechBackend(model), tmp_path / "work/audio.zarr"
    arrays = extract_audio(path, backend).arrays()
    specs = standard(arrays, frames=1, fps=25.0, speech_frames=60, mel_frames=len(arrays["audio/mel"]))
    slow = create(target, specs, {**told, "speech": "deepspeech", "speech_sha256": backend.version})
    write_audio(path, target, backend, told)
    for name, values in arrays.items():
        slow.write(name, 0, values)
    published = slow.finish()
    write_audio(path, target, backend, told)
    assert open_clip(target).content == published.content
    assert [file.name for file in target.parent.iterdir()] == ["audio.zarr"]


def test_no_such_file(model, tmp_path):
    with pytest.raises(MediaError):
        extract_audio(tmp_path / "none.mp4", DeepSpeechBackend(model))


def test_frames_at_25_are_the_mean_of_their_rows():
    rows = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)
    made = frames_from_speech(rows, 50, 25)
    np.testing.assert_allclose(made, (rows[::2] + rows[1::2]) / 2, atol=1e-6)


@pytest.mark.parametrize("fps", [24.0, Fraction(30000, 1001), 50.0, 60.0])
@pytest.mark.parametrize("offset", [0.0, 0.24, -0.1])
def test_frames_read_the_time_they_stand_for(fps, offset):
    times = (np.arange(500) + 0.5) / 50
    frames = int(8 * fps)
    made = frames_from_speech(times, frames, fps, offset)
    wanted = (np.arange(frames) + 0.5) / float(fps) + offset
    np.testing.assert_allclose(made, np.maximum(wanted, 0.01), atol=1e-5)


def test_frames_beyond_the_ends_and_probabilities():
    rows = np.log(np.random.default_rng(1).dirichlet(np.ones(29), 10)).astype(np.float32)
    made = frames_from_speech(rows, 20, 25, 0.1, log_probabilities=True)
    np.testing.assert_allclose(np.exp(made).sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(made[-1], rows[-1], atol=1e-5)
    np.testing.assert_allclose(frames_from_speech(rows[:1], 3, 25), rows[[0, 0, 0]], atol=1e-6)


@pytest.mark.real_footage
def test_real_clips(model, footage):
    features = extract_audio(footage / "video" / "obama_weekly_20s.mp4", DeepSpeechBackend(model))
    assert features.deepspeech.shape == (1000, 29)
    assert 0.6 < (features.voice > 0.5).mean() < 0.98
    assert -35 < np.median(features.loudness) < -10
