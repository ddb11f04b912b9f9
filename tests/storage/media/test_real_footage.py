"""Real videos against PyAV alone and the container's own timestamps."""

from fractions import Fraction

import av
import numpy as np
import pytest

from storage.media import VideoReader, normalise, probe, read_sound

pytestmark = pytest.mark.real_footage

VIDEOS = [
    "fullbody_10s_1080x1920.mp4",
    "hdtf_RD_Radio34_000.mp4",
    "hdtf_WDA_EdMarkey0_000.mp4",
    "hdtf_WDA_KatieHill_000.mp4",
    "obama_weekly_20s.mp4",
    "senator2_10s_256.mkv",
    "senator_60s_256.mp4",
]


def alone(path) -> tuple[int, Fraction, Fraction]:
    """Decoded frames, first moment and end of the picture."""
    with av.open(str(path)) as source:
        frames = [(f.pts * f.time_base, f.duration * f.time_base) for f in source.decode(video=0)]
    return len(frames), frames[0][0], frames[-1][0] + frames[-1][1]


@pytest.mark.parametrize("name", VIDEOS)
def test_the_stored_clip_agrees_with_an_independent_reading(footage, tmp_path, name):
    source, target = footage / "video" / name, tmp_path / "clip.mp4"
    count, start, end = alone(source)
    found = probe(source)
    assert (found.video.frames, found.video.rate, found.video.variable) == (count, 25, False)
    assert found.defects == ()
    assert found.video.duration_s == pytest.approx(float(end - start), abs=0.001)
    done = normalise(source, target, preset="ultrafast", max_side=480)
    assert alone(target) == (count, 0, Fraction(count, 25))
    assert done.frames == count
    before, after = read_sound(source, 16000, info=found), read_sound(target, 16000)
    assert len(after) == count * 640
    both = min(len(before), len(after), 16000 * 20)
    size = 1 << (2 * both - 1).bit_length()
    spectra = np.fft.rfft(after[:both], size) * np.conj(np.fft.rfft(before[:both], size))
    lag = int(np.fft.irfft(spectra).argmax())
    assert min(lag, size - lag) <= 1


@pytest.mark.parametrize("name", VIDEOS)
def test_chunks_are_the_very_frames_of_reading_through(footage, name):
    reader = VideoReader(footage / "video" / name, form="gray", thread_count=2)
    straight = [hash(frame.tobytes()) for frame in reader]
    rng = np.random.default_rng(0)
    for start in [*rng.integers(0, len(straight), 2), len(straight) - 3]:
        stop = int(start) + 4
        assert [hash(f.tobytes()) for f in reader.read(int(start), stop)] == straight[start:stop], start


@pytest.mark.parametrize("name", ["obama_speech_24s.wav", "english_8s.wav", "french_7s_48k_24bit.wav"])
def test_speech_files_are_read_as_their_samples(footage, name):
    path = footage / "audio" / name
    with av.open(str(path)) as source:
        frames = [frame.to_ndarray() for frame in source.decode(audio=0)]
        stream = source.streams.audio[0]
        scale = 2.0 ** (8 * stream.format.bytes - 1)
        plain = np.concatenate(frames, axis=1).reshape(-1, stream.channels) / scale
    samples = read_sound(path)
    assert len(samples) == len(plain)
    assert np.abs(samples - plain.mean(axis=1)).max() < 1e-6


def test_a_webcam_s_uneven_timestamps_become_constant(footage):
    path = footage / "openface" / "webcam_320x240.mp4"
    video = probe(path).video
    assert (video.frames, video.variable, video.rate) == (500, True, 15)
    assert video.slots == pytest.approx(video.duration_s * 15, abs=0.01)
