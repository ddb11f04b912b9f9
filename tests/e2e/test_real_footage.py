"""Real footage through ingest, held against what PyAV alone reads from the containers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flows.ingest import ingest
from storage.home import Home
from storage.ledger import Ledger
from tests.helpers.footage import keep_consent

pytestmark = pytest.mark.real_footage

FILES = (
    "video/obama_weekly_20s.mp4",
    "video/senator_60s_256.mp4",
    "video/senator2_10s_256.mkv",
    "video/hdtf_RD_Radio34_000.mp4",
    "video/hdtf_WDA_EdMarkey0_000.mp4",
    "video/hdtf_WDA_KatieHill_000.mp4",
    "video/fullbody_10s_1080x1920.mp4",
    "openface/webcam_320x240.mp4",
)


class Seen:
    """What the container's own timestamps say of a file, read with PyAV and nothing of ours."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as source:
            self.frames = [frame.pts * frame.time_base for frame in source.decode(video=0)]
            sound = source.streams.audio[0] if source.streams.audio else None
            # As the file says: a decoder also gives the padding of the last block.
            self.sound_s = float(sound.duration * sound.time_base) if sound and sound.duration else None
            self.has_sound = sound is not None


@pytest.mark.parametrize("name", FILES)
def test_a_stored_clip_agrees_with_its_source(footage: Path, tmp_path: Path, name: str) -> None:
    keep_consent(tmp_path / "home")
    source = footage / name
    home = Home(tmp_path / "home")
    clip = ingest([source], "anna", silent_ok=True).clips[0]
    stored = home.path(clip.uri) / "clip.mp4"
    row = Ledger(home.objects).rows("clips").to_pylist()[0]
    before, after = Seen(source), Seen(stored)
    rate = Fraction(row["rate_num"], row["rate_den"])
    step = float(1 / rate)

    # Every picture is there, in its place to within half a frame.
    assert row["frames"] == len(after.frames)
    if not row["source_variable_rate"]:
        assert len(after.frames) == len(before.frames)
        moved = np.array([float(a - b) for a, b in zip(after.frames, before.frames, strict=True)])
        assert np.ptp(moved) < step / 2
    assert after.frames == [i / rate for i in range(len(after.frames))], "the stored clip is not constant"
    assert abs(float(before.frames[-1] - before.frames[0]) - float(after.frames[-1])) < step

    # Sound lasts as long as the picture, and stands to it as it did, by the samples themselves.
    assert before.has_sound is not row["silent"]
    if before.has_sound:
        assert after.sound_s is not None
        assert abs(after.sound_s - len(after.frames) * step) < step / 2
        shift = _lag(_on_the_pictures_clock(source), _on_the_pictures_clock(stored)) / 16000
        assert abs(shift) < step / 2, f"sound moved by {shift * 1000:.1f} ms against the picture"


def _on_the_pictures_clock(path: Path) -> np.ndarray:
    """Mono samples at 16 kHz; sample 0 is at the time of the first picture."""
    with av.open(str(path)) as source:
        first = next(source.decode(video=0))
        zero = float(first.pts * first.time_base)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
    pieces, start = [], None
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            start = float(frame.pts * frame.time_base) if start is None else start
            pieces += [out.to_ndarray()[0] for out in resampler.resample(frame)]
    samples = np.concatenate(pieces)
    offset = round((start - zero) * 16000)
    return samples[-offset:] if offset < 0 else np.concatenate([np.zeros(offset, samples.dtype), samples])


def _lag(a: np.ndarray, b: np.ndarray) -> int:
    """By how many samples `b` is late."""
    length = 1 << (len(a) + len(b)).bit_length()
    spectrum = np.fft.rfft(b, length) * np.conj(np.fft.rfft(a, length))
    correlation = np.fft.irfft(spectrum, length)
    best = int(np.argmax(correlation))
    return best if best < length // 2 else best - length
