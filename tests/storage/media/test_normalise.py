from fractions import Fraction

import numpy as np
import pytest

from storage.errors import MediaError
from storage.media import VideoReader, normalise, probe, read_sound

X265 = {"x265-params": "log-level=none:pools=1:frame-threads=1"}
PHONES = {
    "iphone": {
        "name": "IMG 0001.MOV",
        "codec": "libx265",
        "options": X265,
        "pixels": "yuv420p10le",
        "rotation": -90.0,
        "rate": Fraction(30000, 1001),
        "sound": "aac",
        "sound_rate": 44100,
    },
    "android": {
        "times": tuple(i for i in range(60) if i % 7),
        "tick": Fraction(1, 30),
        "rate": Fraction(30),
        "frames": 51,
        "sound": "aac",
        "layout": "stereo",
        "sound_seconds": 2.0,
        "name": "a.mkv",
    },
    "camcorder": {
        "name": "00001.ts",
        "codec": "mpeg2video",
        "b_frames": 2,
        "aspect": Fraction(4, 3),
        "sound": "ac3",
        "layout": "5.1",
    },
    "browser": {
        "name": "a.webm",
        "codec": "libvpx",
        "options": {"deadline": "realtime", "cpu-used": "8"},
        "sound": "libopus",
    },
    "old": {"name": "a.avi", "codec": "mpeg4", "b_frames": 2, "sound": "libmp3lame", "sound_rate": 22050},
    "odd": {"size": (97, 65), "pixels": "yuv444p", "sound": "aac", "sound_rate": 32000},
    "edited": {"first": -10, "sound": "aac", "sound_start": -0.4},
    "late sound": {"sound": "aac", "sound_start": 0.5, "sound_seconds": 1.0},
    "lecture": {"name": "a.mkv", "sound": "pcm_s24le", "sound_rate": 96000, "frames": 75},
    "silent": {},
}


@pytest.mark.parametrize("film", PHONES.values(), ids=PHONES)
def test_footage_of_any_maker_becomes_the_same_kind_of_clip(studio, tmp_path, film):
    source, target = studio(**film), tmp_path / "clip.mp4"
    before = probe(source)
    done = normalise(source, target)
    after = probe(target)
    video = after.video
    width, height = before.video.display_size
    assert video.display_size == video.coded_size == done.size == (width + width % 2, height + height % 2)
    assert (video.rotation, video.sample_aspect, video.bit_depth, video.codec) == (0, 1, 8, "h264")
    assert (video.rate, video.variable) == (before.video.rate, False) == (done.rate, False)
    assert video.frames == before.video.slots == done.frames
    assert video.duration_s == pytest.approx(before.video.duration_s) == done.duration_s
    assert (after.audio is None) == (before.audio is None)
    if after.audio:
        assert after.audio.codec == "aac"
        assert after.audio.start_s == 0
        assert after.audio.duration_s == pytest.approx(video.duration_s, abs=0.001)
    assert done.source == before


def test_the_clip_shows_the_source_s_frames_in_order(studio, tmp_path):
    source = studio(name="a.mkv", times=(0, 1, 2, 5, 6, 7), tick=Fraction(1, 25), frames=6)
    normalise(source, tmp_path / "clip.mp4")
    seen = [studio.number_of(frame) for frame in VideoReader(tmp_path / "clip.mp4")]
    assert seen == [0, 1, 2, 2, 2, 3, 4, 5]


def test_late_sound_stays_late_and_the_end_is_silent(studio, tmp_path):
    source = studio(sound="aac", sound_start=0.5, sound_seconds=1.0, frames=60)
    normalise(source, tmp_path / "clip.mp4")
    loud = np.abs(read_sound(tmp_path / "clip.mp4")) > 0.1
    assert np.flatnonzero(loud)[[0, -1]] / 48000 == pytest.approx([0.5, 1.5], abs=0.025)


def test_a_large_picture_is_brought_within_the_limit(studio, tmp_path):
    done = normalise(studio(size=(320, 180), frames=5), tmp_path / "clip.mp4", max_side=160)
    assert done.size == (160, 90)
    assert normalise(studio(size=(96, 64), frames=5), tmp_path / "b.mp4", max_side=160).size == (96, 64)


def test_progress_is_told(studio, tmp_path):
    heard = []
    normalise(studio(frames=30), tmp_path / "clip.mp4", progress=lambda *pair: heard.append(pair))
    assert heard == [(number, 30) for number in range(1, 31)]


def test_another_rate_keeps_the_duration(studio, tmp_path):
    done = normalise(studio(rate=Fraction(30), frames=90), tmp_path / "clip.mp4", rate=Fraction(25))
    assert (done.rate, done.frames, done.duration_s) == (25, 75, 3.0)


def test_the_same_footage_gives_the_same_clip(studio, tmp_path):
    source = studio(sound="aac", frames=40)
    clips = {normalise(source, tmp_path / f"{number}.mp4").path.read_bytes() for number in range(12)}
    assert len(clips) == 1


def test_nothing_is_left_of_a_failure(studio, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    with pytest.raises(MediaError, match="no picture"):
        normalise(studio(name="a.wav", frames=0, sound="pcm_s16le", sound_seconds=1), folder / "clip.mp4")

    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        normalise(studio(), folder / "clip.mp4", progress=stop)
    assert list(folder.iterdir()) == []
    source = studio(name="same.mp4")
    with pytest.raises(MediaError, match="same file"):
        normalise(source, source)
    assert probe(source).video.frames == 60
