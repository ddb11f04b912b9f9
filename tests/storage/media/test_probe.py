import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from storage.errors import MediaError
from storage.media import VideoReader, check, probe, read_sound, require_audio, require_video


def refusal(call, *args, **options) -> str:
    with pytest.raises(MediaError) as caught:
        call(*args, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert "Errno" not in line
    return line


def test_a_phone_video_is_described(studio):
    path = studio(
        name="a clip with spaces, ü and 日本: take 2.mov",
        size=(128, 96),
        rate=Fraction(30000, 1001),
        frames=90,
        rotation=-90,
        sound="aac",
        sound_rate=44100,
        layout="stereo",
    )
    found = probe(path)
    video, sound = found.video, found.audio
    assert (video.codec, video.coded_size, video.display_size) == ("h264", (128, 96), (96, 128))
    assert (video.rotation, video.sample_aspect, video.bit_depth) == (90, 1, 8)
    assert (video.rate, video.variable, video.frames, video.slots) == (Fraction(30000, 1001), False, 90, 90)
    assert video.has_b_frames
    assert video.duration_s == pytest.approx(3.003)
    assert (sound.codec, sound.rate, sound.channels) == ("aac", 44100, 2)
    assert sound.duration_s == pytest.approx(3.003, abs=0.03)
    assert found.size_bytes == path.stat().st_size
    assert found.defects == ()
    assert check(found) is video


def test_anamorphic_ten_bit_hevc_is_described(studio):
    film = {"codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": "log-level=none:pools=1"}}
    video = probe(studio(**film, aspect=Fraction(4, 3), frames=25)).video
    assert (video.codec, video.bit_depth, video.pixel_format) == ("hevc", 10, "yuv420p10le")
    assert (video.coded_size, video.display_size, video.sample_aspect) == (
        (96, 64),
        (128, 64),
        Fraction(4, 3),
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.mov"])
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_count_and_rate_in_every_container(studio, name, rate):
    video = probe(studio(name=name, rate=rate, frames=75)).video
    assert (video.frames, video.slots, video.rate, video.variable) == (75, 75, rate, False)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s24le"),
        ("a.flac", "flac"),
        ("a.mp3", "libmp3lame"),
        ("a.m4a", "aac"),
        ("a.ogg", "libopus"),
    ],
)
def test_sound_alone_is_a_file_without_picture(studio, name, codec):
    found = probe(studio(name=name, frames=0, sound=codec, sound_seconds=2))
    assert found.video is None
    assert found.audio.duration_s == pytest.approx(2, abs=0.05)
    assert "no picture" in refusal(require_video, found)


def test_a_cover_image_is_no_picture(studio, tmp_path):
    import av

    cover = studio(name="cover.jpg", codec="mjpeg", pixels="yuvj420p", frames=1, container="image2")
    song = tmp_path / "song.mp3"
    with av.open(str(song), "w") as out, av.open(str(cover)) as image:
        audio = out.add_stream("libmp3lame", rate=44100, layout="mono")
        picture = out.add_stream_from_template(image.streams.video[0])
        picture.disposition = av.stream.Disposition.attached_pic
        packet = next(image.demux())
        packet.stream = picture
        out.mux(packet)
        for start in range(0, 88200, 1152):
            frame = av.AudioFrame.from_ndarray(studio.tone(start, 1152, 44100)[None], "fltp", "mono")
            frame.sample_rate, frame.pts = 44100, start
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    found = probe(song)
    assert found.video is None
    assert found.audio.codec == "mp3"


def test_what_cannot_be_opened_is_refused_in_one_line(studio, tmp_path):
    assert "no such file" in refusal(probe, tmp_path / "none.mp4")
    assert "folder" in refusal(probe, tmp_path)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert "zero bytes" in refusal(probe, empty)
    text = tmp_path / "text.mp4"
    text.write_text("This is a letter, not a film.\n" * 100)
    assert "not a video" in refusal(probe, text)
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 64)
    assert "not a video" in refusal(probe, noise)


def test_a_playlist_cannot_make_us_open_other_files(studio, tmp_path):
    real = studio()
    for name, text in {
        "list.mp4": f"#EXTM3U\n#EXTINF:2,\n{real.name}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {real.name}\n",
        "letters.txt": "art\n" * 50,
    }.items():
        path = tmp_path / name
        path.write_text(text)
        assert "not a video" in refusal(probe, path)


def test_an_interrupted_recording_says_that_its_index_is_missing(studio, tmp_path):
    whole = studio(sound="aac").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: whole.index(b"moov") - 4])
    assert "index (moov) is missing" in refusal(probe, cut)


@pytest.mark.parametrize(
    "film", [{"muxing": {"movflags": "faststart"}}, {"name": "a.mkv"}], ids=["mp4", "mkv"]
)
def test_a_file_cut_in_the_middle_is_read_and_reported(studio, film):
    path = studio(frames=150, size=(160, 128), sound="aac", **film)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    found = probe(path)
    assert 20 < found.video.frames < 150
    assert found.defects
    assert found.defects[0].startswith("cut short")
    assert "cut short" in refusal(check, found)
    assert check(found, whole=False).frames == found.video.frames


def test_a_picture_track_without_frames_is_refused(studio, tmp_path):
    path = studio(muxing={"movflags": "faststart"}, size=(160, 128), frames=50)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    assert "no frame" in refusal(require_video, probe(path))


def test_limits_are_named(studio):
    good = probe(studio(sound="aac", frames=50))
    assert "under the least of 3" in refusal(check, good, min_seconds=3)
    assert "over the limit" in refusal(check, good, max_bytes=1000)
    assert "96x64 pixels" in refusal(check, good, min_side=65)
    short = probe(studio(name="short.mp4", frames=20, sound="aac"))
    assert "0.80 s" in refusal(check, short)
    silent = probe(studio(name="silent.mp4", frames=50))
    assert "no sound" in refusal(check, silent)
    assert "no sound" in refusal(require_audio, silent)
    assert check(silent, silent_ok=True).frames == 50


def test_nothing_is_said_on_standard_error(studio, tmp_path):
    path = studio(frames=80, size=(160, 96), sound="aac")
    data = bytearray(path.read_bytes())
    data[2000:2600] = b"\xff" * 600
    path.write_bytes(data)
    code = f"from storage.media import *; r = VideoReader({str(path)!r}); print(len(list(r)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("80", "")


def test_a_jump_in_the_timestamps_is_reported(studio):
    found = probe(studio(name="a.mkv", times=(*range(30), *range(900, 930)), tick=Fraction(1, 30), frames=60))
    assert found.defects == ("has no picture for 29 s from 1.0 s on",)
    assert "no picture for 29 s" in refusal(check, found, silent_ok=True)


MAKERS = {
    "a.mp4": {},
    "a.mov": {"rotation": 90.0, "muxing": {"movflags": "faststart"}},
    "b.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {},
    "a.ts": {},
    "a.avi": {"codec": "mpeg4", "sound": "libmp3lame"},
    "a.webm": {"codec": "libvpx", "sound": "libopus"},
}


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut off, bytes flipped, a stretch overwritten, or a stretch lost."""
    kind, at, length = rng.integers(4), int(rng.integers(1, len(data))), int(rng.integers(1, 1500))
    if kind == 0:
        return data[:at]
    if kind == 1:
        flips = rng.integers(0, len(data), 20)
        return bytes(rng.integers(256) if place in flips else byte for place, byte in enumerate(data))
    middle = rng.integers(0, 256, length, np.uint8).tobytes() if kind == 2 else b""
    return data[:at] + middle + data[at + length :]


@pytest.mark.parametrize("name", MAKERS)
def test_a_damaged_file_is_read_or_refused_and_never_breaks(studio, tmp_path, name):
    lines = []
    whole = studio(**{"name": name, "frames": 40, "sound": "aac"} | MAKERS[name]).read_bytes()
    path = tmp_path / f"damaged-{name}"
    for seed in range(12):
        path.write_bytes(damaged(whole, np.random.default_rng(seed)))
        try:
            found = probe(path)
            if found.video and found.video.frames and found.video.slots < 2000:
                reader = VideoReader(path)
                assert sum(1 for _ in reader) == len(reader)
            if found.audio:
                read_sound(path, 16000, info=found)
        except MediaError as error:
            lines.append(str(error))
    assert not any("\n" in line for line in lines)
