"""What happens to a voice between a mouth and a file: rooms, noises, microphones, codecs, levels.

Every function takes and gives 16 kHz samples, and keeps them in step to the sample. Called by
`tasks.acoustic.takes`.
"""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

__all__ = ["RATE", "through_the_world"]

RATE = 16_000
Sound = NDArray[np.float32]
_CODECS = (
    ("libmp3lame", "mp3", 16000, (16, 24, 32, 48)),
    ("aac", "adts", 16000, (16, 24, 32, 48)),
    ("libopus", "ogg", 16000, (8, 12, 16, 24)),
    ("mp2", "mp2", 16000, (32, 48)),
)


def through_the_world(voice: Sound, babble: Sound, draw: np.random.Generator) -> Sound:
    """One recording's fate; a quarter of them are left almost alone."""
    sound = _levelled(voice, 0.1)
    if draw.random() < 0.25:
        return _leveller(_noisy(sound, babble, draw, (30.0, 60.0)), draw)
    if draw.random() < 0.55:
        sound = _room(sound, draw)
    if draw.random() < 0.4:
        sound = _coloured(sound, draw)
    if draw.random() < 0.75:
        sound = _noisy(sound, babble, draw, (3.0, 40.0))
    if draw.random() < 0.35:
        sound = _coloured(sound, draw)
    if draw.random() < 0.3:
        sound = _compressed(sound, draw)
    if draw.random() < 0.3:
        sound = _coded(sound, draw)
    return _leveller(sound, draw)


def _levelled(sound: Sound, rms: float) -> Sound:
    now = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
    return sound * np.float32(rms / now) if now > 0 else sound


def _leveller(sound: Sound, draw: np.random.Generator) -> Sound:
    """Any level, as 16-bit files have it: quiet ones lose their last bits, loud ones are clipped."""
    loud = np.clip(_levelled(sound, float(10 ** draw.uniform(-2.6, -0.6))), -1, 1)
    return (np.round(loud * 32767) / 32768).astype(np.float32)


def _room(sound: Sound, draw: np.random.Generator) -> Sound:
    """Early reflections and a decaying tail, behind the direct sound, which keeps its time."""
    decay_s = float(draw.uniform(0.1, 0.9))
    length = int(RATE * min(decay_s, 0.8))
    at = np.arange(length) / RATE
    tail = draw.standard_normal(length) * 10 ** (-3.0 * at / decay_s)
    tail[: int(RATE * draw.uniform(0.002, 0.02))] = 0.0
    for _ in range(int(draw.integers(2, 9))):
        tail[int(draw.integers(16, min(length, 800)))] += draw.uniform(-6, 6)
    tail *= 10 ** (-draw.uniform(0, 15) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(oaconvolve(sound, tail.astype(np.float32))[: len(sound)], np.float32)


def _coloured(sound: Sound, draw: np.random.Generator) -> Sound:
    """A microphone's or a telephone's colour: a smooth curve, and limits of the band."""
    size = len(sound)
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    points = np.sort(draw.uniform(50, 8000, 6))
    decibels = np.interp(hertz, points, draw.normal(0, draw.uniform(1, 7), 6))
    if draw.random() < 0.4:
        decibels -= 48 * np.clip(np.log2(np.maximum(hertz, 1) / draw.uniform(2800, 7500)), 0, 1.5)
    if draw.random() < 0.4:
        decibels -= 24 * np.clip(np.log2(draw.uniform(60, 400) / np.maximum(hertz, 1)), 0, 3)
    return np.fft.irfft(np.fft.rfft(sound) * 10 ** (decibels / 20), size).astype(np.float32)


def _noisy(sound: Sound, babble: Sound, draw: np.random.Generator, range_db: tuple[float, float]) -> Sound:
    kind = draw.choice(["hiss", "hiss", "babble", "music", "hum"])
    if kind == "babble":
        noise = _babble(len(sound), babble, draw)
    else:
        noise = {"hiss": _hiss, "music": _music, "hum": _hum}[str(kind)](len(sound), draw)
    lowest = max(range_db[0], 8.0) if kind in ("babble", "music") else range_db[0]
    distance = draw.uniform(lowest, range_db[1])
    return sound + _levelled(noise, float(np.sqrt(np.mean(sound**2)) * 10 ** (-distance / 20)))


def _hiss(size: int, draw: np.random.Generator) -> Sound:
    """Noise from white to brown, standing still or coming in gusts."""
    spectrum = np.fft.rfft(draw.standard_normal(size))
    spectrum *= np.maximum(np.fft.rfftfreq(size, 1 / RATE), 40.0) ** (-draw.uniform(0, 1.2))
    noise = np.fft.irfft(spectrum, size)
    if draw.random() < 0.4:
        gusts = np.interp(np.arange(size), np.linspace(0, size, 40), draw.uniform(0.1, 1.0, 40))
        noise *= gusts
    return noise.astype(np.float32)


def _babble(size: int, babble: Sound, draw: np.random.Generator) -> Sound:
    out = np.zeros(size, np.float32)
    for _ in range(int(draw.integers(3, 8))):
        out += np.roll(np.resize(babble, size), int(draw.integers(0, size))) * np.float32(
            draw.uniform(0.3, 1)
        )
    return out


def _music(size: int, draw: np.random.Generator) -> Sound:
    """Chords of a few harmonics each, struck and fading: not music, but not speech either."""
    out = np.zeros(size, np.float32)
    step = int(RATE * draw.uniform(0.15, 0.8))
    for start in range(0, size, step):
        at = np.arange(min(2 * step, size - start)) / RATE
        fade = np.exp(-at * draw.uniform(1, 8)) * np.minimum(1, at * 200)
        for note in 110 * 2 ** (draw.integers(0, 36, 3) / 12):
            for harmonic in range(1, int(draw.integers(2, 7))):
                out[start : start + len(at)] += fade * np.sin(2 * np.pi * note * harmonic * at) / harmonic
    return out


def _hum(size: int, draw: np.random.Generator) -> Sound:
    at = np.arange(size) / RATE
    base = draw.choice([50.0, 60.0, 100.0, draw.uniform(80, 400)])
    waves = sum(draw.uniform(0, 1) / k * np.sin(2 * np.pi * base * k * at) for k in range(1, 9))
    return np.asarray(waves + 0.05 * draw.standard_normal(size), np.float32)


def _compressed(sound: Sound, draw: np.random.Generator) -> Sound:
    """A broadcaster's compressor, or an amplifier driven too hard."""
    if draw.random() < 0.5:
        drive = draw.uniform(1, 6) / max(1e-6, float(np.abs(sound).max()))
        return np.asarray(np.tanh(sound * drive) / drive, np.float32)
    window = int(RATE * draw.uniform(0.02, 0.3))
    total = np.cumsum(np.pad(sound.astype(np.float64) ** 2, (window, 0)))
    level = np.sqrt(np.maximum(total[window:] - total[:-window], 0.0) / window)
    level = np.maximum(level, 1e-3)
    return (sound * level ** (-draw.uniform(0.2, 0.6))).astype(np.float32)


def _coded(sound: Sound, draw: np.random.Generator) -> Sound:
    """There and back through a codec; where it shifts the sound, the shift is taken back."""
    if draw.random() < 0.2:
        return _mu_law(sound)
    codec, container, rate, kilobits = _CODECS[int(draw.integers(len(_CODECS)))]
    bits = int(draw.choice(kilobits)) * 1000
    loud = _levelled(sound, 0.08)
    back = _decoded(_encoded(np.clip(loud, -1, 1), codec, container, rate, bits))
    return _aligned(back, loud)


def _mu_law(sound: Sound) -> Sound:
    x = sound / max(1e-6, float(np.abs(sound).max()))
    coded = np.round(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 127) / 127
    return np.asarray(np.sign(coded) * (np.expm1(np.abs(coded) * np.log(256)) / 255), np.float32)


def _encoded(sound: Sound, codec: str, container: str, rate: int, bits: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = bits
        frame = av.AudioFrame.from_ndarray(
            (sound * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    return file.getvalue()


def _decoded(content: bytes) -> Sound:
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(io.BytesIO(content), "r") as file:
        parts = [part.to_ndarray()[0] for frame in file.decode(audio=0) for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate(parts)


def _aligned(moved: Sound, reference: Sound) -> Sound:
    size = len(reference)
    longest = 1 << (2 * size - 1).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(moved, longest) * np.conj(np.fft.rfft(reference, longest)), longest)
    reach = RATE // 4
    shifts = np.concatenate([np.arange(reach), np.arange(-reach, 0)])
    shift = int(shifts[np.argmax(likeness[shifts])])
    shifted = moved[shift:] if shift >= 0 else np.pad(moved, (-shift, 0))
    return np.resize(np.pad(shifted, (0, max(0, size - len(shifted)))), size).astype(np.float32)
