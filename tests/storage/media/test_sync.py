"""Flashes and clicks: what is written together is still together ten minutes later."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from storage.media import MediaWriter, VideoReader, normalise, read_sound

EVERY = 5  # seconds between flashes


def flashes_at(rate: Fraction, frames: int) -> set[int]:
    """The frames nearest to each multiple of five seconds."""
    every = range(0, int(frames / rate) + 1, EVERY)
    return {round(second * rate) for second in every if round(second * rate) < frames}


def click_track(flashes: set[int], rate: Fraction, sound_rate: int, start: int, stop: int) -> np.ndarray:
    block = np.zeros(stop - start, np.float32)
    for flash in flashes:
        at = round(flash / rate * sound_rate) - start
        if -sound_rate // 100 < at < len(block):
            block[max(at, 0) : max(at + sound_rate // 100, 0)] = 0.7
    return block


def film(path: Path, seconds: int, rate: Fraction, sound_rate: int, hold: int = 1) -> set[int]:
    frames = round(seconds * rate)
    flashes = flashes_at(rate, frames)
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    with MediaWriter(path, (64, 64), rate, sound_rate, preset="ultrafast") as writer:
        for number in range(frames):
            if number % 250 == 0:
                start, stop = (round(n / rate * sound_rate) for n in (number, number + 250))
                writer.write_sound(click_track(flashes, rate, sound_rate, start, stop))
            writer.write_frame(white if any(number - back in flashes for back in range(hold)) else black)
    return flashes


def seen_and_heard(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Moments of flashes and clicks by PyAV alone and the container's own timestamps."""
    seen, heard, quiet_since = [], [], -1.0
    with av.open(str(path)) as source:
        for frame in source.decode(video=0):
            if np.frombuffer(frame.planes[0], np.uint8)[0] > 128:
                seen += [float(frame.pts * frame.time_base)]
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.35)
            start = float(frame.pts * frame.time_base)
            for sample in loud:
                moment = start + sample / frame.sample_rate
                if moment > quiet_since + 0.1:
                    heard.append(moment)
                quiet_since = moment
    return np.array(seen), np.array(heard)


@pytest.mark.parametrize(
    ("rate", "sound_rate"),
    [
        (Fraction(25), 48000),
        (Fraction(30000, 1001), 44100),
        (Fraction(24000, 1001), 48000),
        (Fraction(30), 16000),
        (Fraction(2997, 100), 22050),
    ],
    ids=str,
)
def test_ten_minutes_stay_in_step(tmp_path, rate, sound_rate):
    path = tmp_path / "long.mp4"
    flashes = film(path, 600, rate, sound_rate)
    seen, heard = seen_and_heard(path)
    assert len(seen) == len(heard) == len(flashes) == 120
    assert seen == pytest.approx(sorted(number / rate for number in flashes), abs=1e-4)
    apart = np.abs(seen - heard)
    assert apart.max() < 1 / rate / 2
    assert apart.max() < 0.003  # and in fact a good deal closer


@pytest.mark.parametrize(
    ("rate", "sound_rate", "to"),
    [
        (Fraction(30000, 1001), 44100, None),
        (Fraction(30000, 1001), 44100, Fraction(25)),
        (Fraction(25), 16000, Fraction(30000, 1001)),
    ],
    ids=str,
)
def test_normalising_keeps_step_even_at_another_rate(tmp_path, rate, sound_rate, to):
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    film(source, 120, rate, sound_rate, hold=2)
    done = normalise(source, target, rate=to, preset="ultrafast")
    seen, heard = seen_and_heard(target)
    limit = 1 / done.rate / 2 if to is None else 1 / done.rate
    firsts = seen[np.insert(np.diff(seen) > 1, 0, True)]
    assert len(heard) == len(firsts) == 24
    assert np.abs(firsts - heard).max() < limit
    # A changed rate moves single flashes within their slot, but not all of them one way.
    assert abs((firsts - heard).mean()) < 1 / done.rate / 4


def test_the_readers_see_and_hear_the_same(tmp_path):
    path = tmp_path / "short.mp4"
    flashes = film(path, 20, Fraction(24000, 1001), 44100)
    seen = [n for n, frame in enumerate(VideoReader(path, form="gray")) if frame.mean() > 128]
    assert seen == sorted(flashes)
    samples = read_sound(path, 16000)
    for number in flashes:
        at = round(number / Fraction(24000, 1001) * 16000)
        assert np.abs(samples[max(at - 400, 0) : max(at - 64, 0)]).max(initial=0) < 0.2
        assert np.abs(samples[at + 32 : at + 128]).min() > 0.3
