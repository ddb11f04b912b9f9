import pickle
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from storage.media import VideoReader, probe

X265 = "log-level=none:keyint=12:bframes=3:pools=1:frame-threads=1"
FILMS = {
    "h264": {"b_frames": 0},
    "b-frames": {"options": {"bf": "3", "b_strategy": "0", "b-pyramid": "normal"}},
    "open gop": {"options": {"x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0"}},
    "gradual refresh": {"options": {"intra-refresh": "1", "x264-params": "bframes=0:keyint=20"}},
    "one key frame": {"gop": 600, "frames": 120},
    "h264 10 bit": {"pixels": "yuv420p10le"},
    "h264 4:4:4": {"pixels": "yuv444p", "size": (97, 65)},
    "hevc": {"codec": "libx265", "options": {"x265-params": X265}},
    "hevc open gop": {"codec": "libx265", "options": {"x265-params": f"{X265}:open-gop=1"}},
    "hevc 10 bit": {"codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": X265}},
    "mpeg4": {"codec": "mpeg4", "b_frames": 0},
    "mpeg4 b-frames": {"codec": "mpeg4", "b_frames": 2},
    "mpeg4 in avi": {"codec": "mpeg4", "b_frames": 0, "name": "a.avi"},
    "mpeg4 b-frames in avi": {"codec": "mpeg4", "b_frames": 2, "name": "a.avi"},
    "h264 b-frames in avi": {"name": "a.avi"},
    "mpeg2 in a transport stream": {"codec": "mpeg2video", "b_frames": 2, "name": "a.ts"},
    "mpeg2 in a program stream": {"codec": "mpeg2video", "b_frames": 2, "name": "a.mpg"},
    "h264 in a transport stream": {"name": "a.ts"},
    "h264 in matroska": {"name": "a.mkv"},
    "ntsc in matroska": {"name": "a.mkv", "rate": Fraction(30000, 1001)},
    "vp8": {"codec": "libvpx", "name": "a.webm", "options": {"deadline": "good", "auto-alt-ref": "1"}},
    "vp9": {"codec": "libvpx-vp9", "name": "a.webm", "options": {"cpu-used": "8", "auto-alt-ref": "1"}},
    "motion jpeg": {"codec": "mjpeg", "pixels": "yuvj420p", "name": "a.mov"},
    "prores": {"codec": "prores_ks", "pixels": "yuv422p10le", "name": "a.mov"},
    "lossless": {"codec": "ffv1", "name": "a.mkv"},
    "raw h264": {"name": "a.h264", "container": "h264"},
    "fragmented mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "starts at ten seconds": {"first": 250},
    "starts at ten seconds in matroska": {"first": 250, "name": "a.mkv"},
    "three frames a key": {"gop": 3},
}


def numbers(studio, frames) -> list[int]:
    return [studio.number_of(frame) for frame in frames]


@pytest.mark.parametrize("film", FILMS.values(), ids=FILMS)
def test_every_frame_comes_once_and_chunks_give_the_same_bytes(studio, film):
    path = studio(**film)
    reader = VideoReader(path, thread_count=1)
    straight = list(reader)
    assert numbers(studio, straight) == list(range(len(reader)))
    assert len(reader) == film.get("frames", 60) == probe(path).video.frames
    for size in (1, 7, 25):
        for start in range(0, len(reader), size):
            chunk = list(reader.read(start, start + size))
            for offset, picture in enumerate(chunk):
                assert picture.tobytes() == straight[start + offset].tobytes(), (size, start + offset)
            assert len(chunk) == len(straight[start : start + size])


@pytest.mark.parametrize("threads", ["AUTO", "FRAME", "SLICE", "NONE"])
def test_threads_change_no_byte(studio, threads):
    path = studio(size=(128, 96), frames=40)
    one = [f.tobytes() for f in VideoReader(path, threads="NONE", thread_count=1)]
    assert [f.tobytes() for f in VideoReader(path, threads=threads, thread_count=3)] == one


def test_an_edit_list_hides_what_lies_before_it(studio):
    path = studio(first=-10, frames=60)
    reader = VideoReader(path)
    assert numbers(studio, reader) == list(range(10, 60))
    assert numbers(studio, reader.read(5, 8)) == [15, 16, 17]
    assert probe(path).video.frames == 50


def test_varying_timestamps_become_constant(studio):
    # 30 a second, then 15 a second, then a pause of half a second, then 30 again.
    times = [*range(30), *range(30, 60, 2), *range(75, 90)]
    path = studio(name="a.mkv", times=tuple(times), tick=Fraction(1, 30), rate=Fraction(30))
    reader = VideoReader(path)
    assert reader.rate == 30
    assert reader.info.video.variable
    expected = [sum(1 for time in times if time <= slot) - 1 for slot in range(90)]
    assert numbers(studio, reader) == expected
    assert numbers(studio, reader.read(60, 80)) == expected[60:80]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(50)])
def test_another_rate_shows_the_frame_nearest_in_time(studio, rate):
    path = studio(rate=Fraction(30), frames=90)
    reader = VideoReader(path, rate)
    seen = numbers(studio, reader)
    assert len(seen) == len(reader) == round(3 * rate)
    errors = [number / 30 - slot / rate for slot, number in enumerate(seen)]
    # Never ahead by more than half a slot; behind only until the next frame is due.
    assert max(errors) <= 1 / rate / 2
    assert min(errors) >= -max(Fraction(1, 30) - 1 / rate / 2, 1 / rate / 2) - Fraction(1, 1000)
    assert all(a <= b for a, b in pairwise(seen))


def test_repeated_frames_are_separate_arrays(studio):
    first, second = list(VideoReader(studio(frames=30), Fraction(50)).read(0, 2))
    first[...] = 0
    assert second.any()


def test_two_readings_of_one_file_do_not_disturb_each_other(studio):
    reader = VideoReader(studio(frames=30))
    pairs = zip(reader.read(0, 10), reader.read(12, 22), strict=True)
    for at, (left, right) in enumerate(pairs):
        assert (studio.number_of(left), studio.number_of(right)) == (at, at + 12)


def test_an_abandoned_reading_closes_its_file(studio):
    reader = VideoReader(studio())
    frames = reader.read(3)
    next(frames)
    frames.close()


def test_ranges_outside_the_file_are_empty_or_refused(studio):
    reader = VideoReader(studio(frames=30))
    assert list(reader.read(30, 40)) == []
    assert list(reader.read(9, 9)) == []
    assert len(list(reader.read(25, 99))) == 5
    with pytest.raises(ValueError, match="below 0"):
        reader.read(-1, 4)


def test_a_damaged_stretch_shows_the_last_good_frame_in_every_chunking(studio):
    path = studio(name="a.mkv", frames=80, gop=20, b_frames=0, size=(160, 96))
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    middle = len(data) // 2
    data[middle : middle + 900] = rng.integers(0, 256, 900, np.uint8).tobytes()
    path.write_bytes(data)
    reader = VideoReader(path, thread_count=1)
    straight = [frame.tobytes() for frame in reader]
    assert len(straight) == len(reader) >= 60
    for start in range(0, len(reader), 9):
        assert [f.tobytes() for f in reader.read(start, start + 9)] == straight[start : start + 9], start


def test_gray_and_bgr_are_the_same_picture(studio):
    path = studio(frames=5)
    rgb, bgr, gray = (next(iter(VideoReader(path, form=form))) for form in ("rgb24", "bgr24", "gray"))
    assert np.array_equal(rgb, bgr[..., ::-1])
    assert gray.shape == rgb.shape[:2]
    assert np.abs(rgb.astype(float) @ [0.299, 0.587, 0.114] - gray).mean() < 2


def test_the_picture_agrees_with_pyav_alone(studio):
    path = studio(size=(128, 96), frames=20)
    with av.open(str(path)) as source:
        alone = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    ours = list(VideoReader(path))
    assert len(alone) == len(ours)
    worst = max(np.abs(a.astype(int) - b).mean() for a, b in zip(alone, ours, strict=True))
    assert worst < 2.5  # PyAV takes swscale's fast path, which is rougher


def test_a_reader_travels_to_another_process(studio):
    reader = pickle.loads(pickle.dumps(VideoReader(studio(frames=30))))
    assert numbers(studio, reader.read(10, 14)) == [10, 11, 12, 13]
