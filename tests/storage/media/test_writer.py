import errno
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from storage.errors import MediaError, NoSpace
from storage.media import MediaWriter, VideoReader, probe, read_sound


def write(
    path: Path,
    studio,
    frames=50,
    rate=Fraction(25),
    sound_rate=48000,
    size=(96, 64),
    broken_at=None,
) -> Path:
    step = sound_rate / rate
    with MediaWriter(path, size, rate, sound_rate) as writer:
        for number in range(frames):
            start, stop = round(number * step), round((number + 1) * step)
            writer.write_sound(studio.tone(start, stop - start, sound_rate))
            writer.write_frame(studio.numbered(number, size) if number != broken_at else np.zeros(3))
    return path


@pytest.mark.parametrize(
    "rate",
    [
        Fraction(24000, 1001),
        Fraction(24),
        Fraction(25),
        Fraction(30000, 1001),
        Fraction(30),
        Fraction(50),
        Fraction(60000, 1001),
    ],
)
@pytest.mark.parametrize("sound_rate", [16000, 22050, 44100, 48000])
def test_what_is_written_is_read_at_the_same_time(studio, tmp_path, rate, sound_rate):
    path = write(tmp_path / "a.mp4", studio, rate=rate, sound_rate=sound_rate)
    found = probe(path)
    assert (found.video.frames, found.video.slots, found.video.rate) == (50, 50, rate)
    assert (found.video.variable, found.video.start_s, found.defects) == (False, 0.0, ())
    assert [studio.number_of(frame) for frame in VideoReader(path)] == list(range(50))
    samples = read_sound(path)
    assert len(samples) == round(50 / rate * sound_rate)
    ideal = studio.tone(0, len(samples), sound_rate)
    assert np.abs(samples - ideal)[4096:-4096].max() < 0.05


def test_the_container_itself_says_sound_and_picture_start_together(studio, tmp_path):
    path = write(tmp_path / "a.mp4", studio)
    with av.open(str(path)) as source:
        picture, sound = source.streams.video[0], source.streams.audio[0]
        first = next(source.decode(picture))
        assert (picture.codec_context.name, picture.pix_fmt, sound.codec_context.name) == (
            "h264",
            "yuv420p",
            "aac",
        )
        assert first.pts == 0
        assert picture.duration * picture.time_base == 2
        assert sound.duration * sound.time_base == 2
        source.seek(0)
        assert next(source.decode(sound)).pts == 0


def test_the_index_stands_before_the_data(studio, tmp_path):
    data = write(tmp_path / "a.mp4", studio).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_same_input_gives_the_same_bytes(studio, tmp_path):
    first = write(tmp_path / "a.mp4", studio, size=(320, 240))
    second = write(tmp_path / "b.mp4", studio, size=(320, 240))
    assert first.read_bytes() == second.read_bytes()
    for maker in (b"Lavf", b"Lavc", b"x264"):
        assert maker not in first.read_bytes()


@pytest.mark.parametrize("size", [(97, 64), (96, 65), (97, 65)])
def test_odd_sizes_repeat_the_last_line(studio, tmp_path, size):
    path = tmp_path / "a.mp4"
    picture = np.random.default_rng(0).integers(60, 200, (size[1] // 8 + 1, size[0] // 8 + 1, 1), np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1).repeat(3, 2)[: size[1], : size[0]]
    with MediaWriter(path, size, Fraction(25), crf=4) as writer:
        assert writer.coded_size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        for _ in range(3):
            writer.write_frame(picture)
    seen = next(iter(VideoReader(path)))
    assert seen.shape == (writer.coded_size[1], writer.coded_size[0], 3)
    assert np.abs(seen[: size[1], : size[0]].astype(int) - picture).mean() < 2
    if size[0] % 2:
        assert np.abs(seen[:, -1].astype(int) - seen[:, -2]).mean() < 4


def test_sound_is_padded_or_cut_to_the_picture(studio, tmp_path):
    for seconds in (0.5, 5.0):
        path = tmp_path / f"{seconds}.mp4"
        with MediaWriter(path, (96, 64), Fraction(25), 48000) as writer:
            writer.write_sound(studio.tone(0, round(seconds * 48000), 48000))
            for number in range(50):
                writer.write_frame(studio.numbered(number))
        samples = read_sound(path)
        assert len(samples) == 2 * 48000
        assert (np.abs(samples[-24000:-2048]).max() < 0.01) == (seconds == 0.5)


def test_sound_after_all_the_pictures_is_in_step_too(studio, tmp_path):
    path = tmp_path / "a.mp4"
    with MediaWriter(path, (96, 64), Fraction(25), 48000, channels=2) as writer:
        for number in range(50):
            writer.write_frame(studio.numbered(number))
        both = studio.tone(0, 96000, 48000)
        writer.write_sound(np.stack([both, -both], axis=1))
    samples = read_sound(path, mono=False)
    assert samples.shape == (96000, 2)
    assert np.abs(samples[:, 0] - both)[4096:-4096].max() < 0.05
    assert np.abs(samples[:, 1] + both)[4096:-4096].max() < 0.05


def test_one_key_frame_a_second(studio, tmp_path):
    path = write(tmp_path / "a.mp4", studio, frames=100)
    with av.open(str(path)) as source:
        keys = [packet.pts * packet.time_base for packet in source.demux(video=0) if packet.is_keyframe]
    assert keys == [0, 1, 2, 3]


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def test_a_failure_leaves_nothing_and_keeps_what_was_there(studio, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "a.mp4"
    path.write_text("before")
    with pytest.raises(ValueError, match="a frame is"):
        write(path, studio, broken_at=40)
    assert leftovers(folder) == ["a.mp4"]
    assert path.read_text() == "before"
    with pytest.raises(MediaError, match="no frame"), MediaWriter(folder / "b.mp4", (96, 64), Fraction(25)):
        pass
    assert leftovers(folder) == ["a.mp4"]


FILL = """
import resource, signal, sys, os
import numpy as np
from fractions import Fraction
from storage.errors import NoSpace
from storage.media import MediaWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
rng = np.random.default_rng(0)
try:
    with MediaWriter(sys.argv[1], (320, 240), Fraction(25), crf=4) as writer:
        for number in range(int(sys.argv[2])):
            writer.write_frame(rng.integers(0, 256, (240, 320, 3), np.uint8))
except NoSpace as error:
    print("NoSpace:", error)
print(os.listdir(os.path.dirname(sys.argv[1])))
"""


@pytest.mark.parametrize("frames", [3, 60], ids=["at the end", "on the way"])
def test_a_full_disk_is_no_space_and_leaves_nothing(tmp_path, frames):
    """A limit on file size stands for the full disk: the system refuses the write in the same place."""
    folder = tmp_path / "full"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(folder / "a.mp4"), str(frames)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("NoSpace:"), done.stdout + done.stderr
    assert "free some space" in lines[0]
    assert lines[1] == "[]"
    assert done.stderr == ""


def test_system_errors_become_ours(tmp_path):
    from storage.media._libav import plain_errors

    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(NoSpace, match="no room"), plain_errors(tmp_path, "write"):
            raise OSError(number, "full")
    with pytest.raises(MediaError, match="permissions"), plain_errors(tmp_path, "write"):
        raise PermissionError(errno.EACCES, "no")


def test_wrong_requests_are_refused(tmp_path):
    path = tmp_path / "a.mp4"
    for size, rate, sound, channels in [
        ((8, 64), 25, None, 1),
        ((64, 64), 0, None, 1),
        ((64, 64), 25, 12345, 1),
        ((64, 64), 25, 48000, 3),
    ]:
        with pytest.raises(MediaError):
            MediaWriter(path, size, Fraction(rate), sound, channels)
    with MediaWriter(path, (96, 64), Fraction(25)) as writer:
        with pytest.raises(ValueError, match="not \\(64, 96, 3\\)"):
            writer.write_frame(np.zeros((96, 64, 3), np.uint8))
        with pytest.raises(ValueError, match="without sound_rate"):
            writer.write_sound(np.zeros(10, np.float32))
        writer.write_frame(np.zeros((64, 96, 3), np.uint8))
    assert leftovers(tmp_path) == ["a.mp4"]
