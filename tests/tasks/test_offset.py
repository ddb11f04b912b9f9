"""Puppets' lips against their own sound, heard by the bundled network: shifts, strangers, silence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import pytest

from models.audio import RATE
from models.offset import Offset, lip_motion
from models.puppet import Puppet, about_neck
from storage.clips import create, standard
from storage.media import MediaWriter
from tasks.audio import EmbeddedBackend, find_backend
from tasks.film import Script, rehearse
from tasks.offset import clip_offset, correction_s, described, measure_offset, seen_lips

TEXTS = (
    "Maybe we should move the boat before the wind picks up. My father always said that weather like this "
    "brings rain by five. Would you believe that he was right every single time?",
    "Open the window and look at those five white sheep above the farm. Nobody knows who owns them. "
    "People from the village feed them apples, and once a week somebody brings them home.",
)


@dataclass(frozen=True)
class Take:
    """A puppet's landmarks, 25 a second, and what it says at 16 kHz."""

    landmarks: np.ndarray
    sound: np.ndarray


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    return [take(seed, text) for seed, text in zip((11, 12), TEXTS, strict=True)]


@pytest.fixture(scope="module")
def backend() -> EmbeddedBackend:
    found = find_backend("embedded")
    assert isinstance(found, EmbeddedBackend)
    return found


def take(seed: int, text: str) -> Take:
    """Nothing is filmed: where a puppet's landmarks are is known."""
    script = Script(seed, text)
    speech, performance, _ = rehearse(script)
    puppet = Puppet(seed, script.size)
    rows = []
    for expression, offset in zip(performance.expressions, performance.poses, strict=True):
        pose = about_neck(offset[:3], puppet.rest_pose)
        pose[3:] += offset[3:]
        rows.append(puppet.truth(expression, pose).landmarks)
    return Take(np.stack(rows), librosa.resample(speech.samples, orig_sr=speech.rate, target_sr=RATE))


def found(seen: Take, sound: np.ndarray, backend: EmbeddedBackend) -> Offset:
    rows = np.concatenate(list(backend.stream([sound])))
    return measure_offset(lip_motion(seen.landmarks), rows, 25)


def late(sound: np.ndarray, frames: int) -> np.ndarray:
    silence = np.zeros(abs(frames) * RATE // 25, np.float32)
    if frames >= 0:
        return np.concatenate([silence, sound])[: len(sound)]
    return np.concatenate([sound[len(silence) :], silence])


@pytest.mark.parametrize("frames", [-15, -6, 0, 3, 15])
def test_shifts_are_recovered(takes, backend, frames):
    for one in takes:
        offset = found(one, late(one.sound, frames), backend)
        assert offset.frames == pytest.approx(frames, abs=1.0)
        moved = offset.frames - found(one, one.sound, backend).frames
        assert moved == pytest.approx(frames, abs=1.0)
        assert offset.confident
        assert correction_s(offset) == offset.seconds


def test_another_s_sound_gives_no_confidence(takes, backend):
    for one, other in (takes, takes[::-1]):
        sound = np.zeros_like(one.sound)
        part = other.sound[: len(sound)]
        sound[: len(part)] = part
        offset = found(one, sound, backend)
        assert not offset.confident
        assert correction_s(offset) == 0
        assert "cannot be told" in described(offset)


def test_silence_is_said(takes, backend):
    offset = found(takes[0], np.zeros_like(takes[0].sound), backend)
    assert not offset.confident
    assert "cannot be told" in described(offset)


def test_of_groups(takes, backend, tmp_path: Path):
    """A track with missing frames; heard by our network before, or listened to now."""
    one = takes[0]
    frames = len(one.landmarks)
    landmarks = one.landmarks.copy()
    confidence = np.ones(frames, np.float32)
    landmarks[40:60], confidence[40:60] = np.nan, 0
    specs = standard(["track/landmarks", "track/confidence", "track/shot"], frames=frames, fps=25)
    track = create(tmp_path / "track.zarr", specs, {"fps": 25.0})
    values = {"track/landmarks": landmarks, "track/confidence": confidence}
    values["track/shot"] = np.zeros(frames, np.int32)
    for name, rows in values.items():
        for region in track.regions(name):
            track.write(name, region.start, rows[region.start : region.stop])
    track = track.finish()
    motion, _ = seen_lips(track)
    assert np.isnan(motion[40:60]).all()
    assert np.isfinite(motion[:40]).all()

    with MediaWriter(tmp_path / "clip.mp4", (64, 64), 25, RATE) as writer:
        writer.write_sound(late(one.sound, 8))
        for _ in range(frames):
            writer.write_frame(np.zeros((64, 64, 3), np.uint8))
    offset = clip_offset(track, None, 25, video=tmp_path / "clip.mp4", backend=backend)
    assert offset.frames == pytest.approx(8, abs=1.0)

    symbols = np.concatenate(list(backend.stream([late(one.sound, 8)])))
    specs = standard(["audio/deepspeech"], frames=frames, fps=25, speech_frames=len(symbols))
    audio = create(tmp_path / "audio.zarr", specs, {"speech": "embedded"})
    audio.write("audio/deepspeech", 0, symbols)
    assert clip_offset(track, audio.finish(), 25).frames == pytest.approx(offset.frames, abs=0.2)


def test_without_anything_to_listen_to(tmp_path: Path):
    with pytest.raises(ValueError, match="embedded"):
        clip_offset(None, None, 25)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frames", "confidence", "said"),
    [
        (6.0, 0.9, "late by 6.0 frames (240 ms)"),
        (-4.0, 0.9, "early by 4.0"),
        (0.5, 0.9, "in step"),
        (7.0, 0.2, "cannot"),
    ],
)
def test_in_words(frames, confidence, said):
    assert said in described(Offset(frames, frames / 25, confidence, 0.1, np.zeros(1), np.zeros(1)))
