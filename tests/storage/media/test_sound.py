import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from storage.errors import MediaError
from storage.media import SoundReader, probe, read_sound

FORMATS = [
    ("a.wav", "pcm_u8", 8000),
    ("a.wav", "pcm_s16le", 16000),
    ("a.wav", "pcm_s24le", 48000),
    ("a.wav", "pcm_s32le", 96000),
    ("a.wav", "pcm_f32le", 44100),
    ("a.wav", "pcm_mulaw", 8000),
    ("a.aiff", "pcm_s16be", 22050),
    ("a.flac", "flac", 44100),
    ("a.mp3", "libmp3lame", 44100),
    ("a.m4a", "aac", 44100),
    ("a.aac", "aac", 48000),
    ("a.m4a", "alac", 48000),
    ("a.ogg", "libopus", 48000),
    ("a.opus", "libopus", 48000),
    ("a.mka", "ac3", 48000),
]


def loudest(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples))


@pytest.mark.parametrize(("name", "codec", "rate"), FORMATS)
def test_every_codec_rate_and_depth(studio, name, codec, rate):
    path = studio(name=name, frames=0, sound=codec, sound_rate=rate, sound_seconds=2)
    samples = read_sound(path)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(2 * rate, abs=2400)
    middle = samples[rate // 2 : rate]
    assert loudest(middle, rate) == pytest.approx(440, abs=3)
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("source", [16000, 44100, 48000])
def test_resampling_keeps_time_and_pitch(studio, rate, source):
    path = studio(name="a.wav", frames=0, sound="pcm_s24le", sound_rate=source, sound_seconds=3)
    samples = read_sound(path, rate)
    assert len(samples) == 3 * rate
    ideal = studio.tone(0, 3 * rate, rate)
    assert np.abs(samples - ideal)[rate // 10 : -rate // 10].max() < 2e-3


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1", "4 channels"])
def test_channels(studio, layout):
    path = studio(name="a.wav", frames=0, sound="pcm_s16le", layout=layout, sound_seconds=1)
    channels = probe(path).audio.channels
    mono = read_sound(path)
    assert mono.shape == (48000,)
    assert loudest(mono, 48000) == pytest.approx(440, abs=3)
    every = read_sound(path, mono=False)
    assert every.shape == ((48000,) if channels == 1 else (48000, channels))
    assert read_sound(path, 16000, mono=False).shape[0] == 16000
    assert next(SoundReader(path, channels=2).blocks(0.25)).shape == (12000, 2)


def test_stereo_is_averaged(tmp_path):
    path = tmp_path / "lr.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(np.tile(np.array([16384, -8192], "<i2"), 16000).tobytes())
    assert read_sound(path) == pytest.approx(0.125, abs=1e-4)
    assert read_sound(path, mono=False)[100] == pytest.approx([0.5, -0.25], abs=1e-4)


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "pcm_f32le", "flac", "aac"])
@pytest.mark.parametrize("layout", ["stereo", "5.1", "7.1"])
def test_mixing_down_is_as_loud_whatever_the_codec(studio, codec, layout):
    path = studio(name="a.mka", frames=0, sound=codec, layout=layout, sound_seconds=1)
    assert np.abs(read_sound(path)[24000:40000]).max() == pytest.approx(0.4, abs=0.02)
    assert np.abs(next(SoundReader(path, channels=2).blocks(1))[24000:40000]).max() < 0.42


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "aac"), ("a.mp3", "libmp3lame"), ("a.wav", "pcm_s16le"), ("a.ogg", "libopus")],
)
@pytest.mark.parametrize("rate", [None, 16000, 44100])
def test_ranges_are_the_very_samples_of_reading_through(studio, name, codec, rate):
    noise = np.random.default_rng(0).normal(0, 0.1, 48000 * 6).astype(np.float32)
    path = studio(
        name=name,
        frames=0,
        sound=codec,
        sound_seconds=6,
        wave=lambda start, count, _: noise[start : start + count],
    )
    info = probe(path)
    whole = read_sound(path, rate, info=info)
    at = rate or 48000
    for start, stop in [(0, 1), (0.3, 0.31), (1.7, 4.2), (2, 3), (3.999, 99)]:
        part = read_sound(path, rate, start_s=start, stop_s=stop, info=info)
        assert np.array_equal(part, whole[round(start * at) : round(stop * at)]), (start, stop)
    blocks = list(SoundReader(path, rate, info=info).blocks(0.7))
    assert {len(block) for block in blocks[:-1]} == {round(0.7 * at)}
    assert np.array_equal(np.concatenate(blocks), whole)


def ticks(start: int, count: int, rate: int) -> np.ndarray:
    """A click of two milliseconds at every whole second."""
    place = (start + np.arange(count)) % rate
    return np.where(place < rate // 500, 0.8, 0).astype(np.float32)


def clicks(samples: np.ndarray, rate: int) -> list[float]:
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    if not len(loud):
        return []
    starts = loud[np.insert(np.diff(loud) > rate // 10, 0, True)]
    return [start / rate for start in starts]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
@pytest.mark.parametrize("lead", [0.0, 0.48, -0.48])
def test_sound_stands_on_the_picture_s_clock(studio, name, lead):
    """Sound that starts `lead` after the picture: silence before it, or what came earlier is cut."""
    film = {"rate": Fraction(25), "frames": 100, "sound_seconds": 3.5, "wave": ticks, "name": name}
    if lead < 0:
        film["first"] = round(-lead * 25)
        path = studio(sound="aac", **film)
    else:
        path = studio(sound="aac", sound_start=lead, **film)
    samples = read_sound(path)
    expected = [second + lead for second in range(4) if 0 <= second + lead < 3.5 + lead]
    assert clicks(samples, 48000) == pytest.approx(expected, abs=0.003)


def test_an_edit_list_cuts_sound_and_picture_alike(studio):
    path = studio(first=-10, frames=100, sound="aac", sound_start=-0.4, wave=ticks)
    assert clicks(read_sound(path), 48000) == pytest.approx([0.6, 1.6, 2.6], abs=0.003)


def packets_away(path, out, lost) -> None:
    """Copies a file without some of its sound packets."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        pairs = {stream: target.add_stream_from_template(stream) for stream in source.streams}
        for number, packet in enumerate(source.demux(source.streams.audio[0])):
            if packet.dts is None or number in lost:
                continue
            packet.stream = pairs[packet.stream]
            target.mux(packet)


def test_a_gap_in_the_timestamps_is_silence(studio, tmp_path):
    path = studio(name="a.mka", frames=0, sound="flac", sound_seconds=5, wave=ticks)
    holed = tmp_path / "holed.mka"
    packets_away(path, holed, range(15, 25))
    samples = read_sound(holed)
    assert clicks(samples, 48000) == pytest.approx([0, 1, 2, 3, 4], abs=0.003) or len(samples) == 5 * 48000
    assert len(samples) == pytest.approx(5 * 48000, abs=100)
    assert clicks(samples, 48000)[-2:] == pytest.approx([3, 4], abs=0.003)


def test_a_drifting_clock_is_held_to_the_timestamps(tmp_path):
    """A recorder whose samples come 0.2 % too slowly: sixty seconds of timestamps hold 59.88 of samples."""
    path, rate = tmp_path / "drift.mka", 48000
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        stream.time_base = Fraction(1, 1000)
        for start in range(0, 60 * rate, 960):
            when = (start + np.arange(960)) / rate
            data = np.where((when * 1.002) % 1 < 0.002, 20000, 0).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(data[None], "s16", "mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, 1_000_000)
            frame.pts = round(start * 1.002 / rate * 1_000_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    samples = read_sound(path)
    found = clicks(samples, rate)
    assert len(found) == 61
    assert np.abs(np.array(found) - np.arange(61)).max() < 0.015
    # Mended by stretching, not by holes: no stretch of silence is put into a steady sound.
    assert len(samples) == pytest.approx(60 * 1.002 * rate, abs=rate * 0.02)


def test_jitter_of_the_container_is_not_mended(tmp_path):
    path, rate = tmp_path / "jitter.mka", 48000
    rng = np.random.default_rng(1)
    steady = np.sin(np.arange(10 * rate) / 20).astype(np.float32) * 0.5
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_f32le", rate=rate, layout="mono")
        for start in range(0, 10 * rate, 960):
            frame = av.AudioFrame.from_ndarray(steady[None, start : start + 960], "flt", "mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, 1000)
            frame.pts = start // 48 + (int(rng.integers(-3, 4)) if start else 0)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert np.array_equal(read_sound(path), steady)


def test_wrong_requests_are_refused(studio):
    silent = studio(frames=10)
    with pytest.raises(MediaError, match="no sound"):
        read_sound(silent)
    path = studio(name="a.wav", frames=0, sound="pcm_s16le", sound_seconds=1)
    with pytest.raises(MediaError, match="3 channels"):
        SoundReader(path, channels=3)
    assert read_sound(path, start_s=5, stop_s=6).shape == (0,)
