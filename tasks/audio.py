"""Sound features of a clip or of driving speech, on their own clocks, in one pass over the sound.

    backend = find_backend("embedded", home)
    features = extract_audio(path, backend)

Row k of deepspeech, loudness and voice stands for the 20 ms from k / 50 s on, and is centred on (k + .5) /
50 s; there are T50 = ceil(duration * 50) of them. Row j of mel is centred on j / 80 s; there are 1 +
floor(duration * 80). Duration is the picture's where there is a picture: sound that ends before it goes on
as silence. Called by the stage `audio` and by dubbing. Everything streams but the results: 115 MB an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.audio import (
    RATE,
    Stream,
    activity,
    log_mel,
    loudness,
    speech_rows,
    voice_cues,
)
from storage.errors import RequestError, WorkError
from storage.media import SoundReader, probe
from tasks.audio_backends import (
    BACKENDS,
    AudioBackend,
    DeepSpeechBackend,
    EmbeddedBackend,
    Sound,
    find_backend,
)

__all__ = [
    "BACKENDS",
    "AudioBackend",
    "AudioFeatures",
    "DeepSpeechBackend",
    "EmbeddedBackend",
    "extract_audio",
    "features_of",
    "find_backend",
    "frames_from_speech",
    "sound_of",
]

_BLOCK_S = 4.0


@dataclass(frozen=True)
class AudioFeatures:
    """Everything that is known of a sound, and how long it is."""

    deepspeech: NDArray[np.float32]
    mel: NDArray[np.float32]
    loudness: NDArray[np.float32]
    voice: NDArray[np.float32]
    duration_s: float

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """By their standard names."""
        return {f"audio/{name}": getattr(self, name) for name in ("deepspeech", "mel", "loudness", "voice")}


def extract_audio(path: str | Path, backend: AudioBackend) -> AudioFeatures:
    """The features of a clip or of a sound file; a clip without sound is silence of its length."""
    return features_of(sound_of(path), backend)


def sound_of(path: str | Path) -> Iterator[Sound]:
    """A file's sound at 16 kHz in blocks, exactly as long as its picture, if it has one."""
    info = probe(path)
    samples = None
    if info.video is not None and info.video.slots:
        samples = -(-info.video.slots * RATE // info.video.rate)
    if info.audio is None and samples is None:
        raise RequestError("has neither sound nor pictures", where=path, do="give a file with speech")
    blocks = iter(()) if info.audio is None else SoundReader(path, RATE, info=info).blocks(_BLOCK_S)
    return _exactly(blocks, samples)


def features_of(blocks: Iterable[Sound], backend: AudioBackend, samples: int | None = None) -> AudioFeatures:
    """The features of sound at 16 kHz; cut or filled up with silence to so many samples, if told."""
    streams = {"mel": log_mel(), "loudness": loudness(), "voice": voice_cues()}
    made: dict[str, list[Any]] = {name: [] for name in streams}
    heard = 0

    def tapped() -> Iterator[Sound]:
        nonlocal heard
        for block in _exactly(blocks, samples):
            for name, stream in streams.items():
                made[name].append(stream.push(block))
            heard += len(block)
            yield block

    symbols = list(backend.stream(tapped()))
    rows = speech_rows(heard)
    done = {name: _joined(made.pop(name), stream) for name, stream in streams.items()}
    return AudioFeatures(
        _as_long(symbols, rows, backend), done["mel"], done["loudness"], activity(done["voice"]), heard / RATE
    )


def _exactly(blocks: Iterable[Sound], samples: int | None) -> Iterator[Sound]:
    heard, size = 0, round(_BLOCK_S * RATE)
    for block in blocks:
        kept = block if samples is None else block[: samples - heard]
        heard += len(kept)
        yield kept
        if heard == samples:
            return
    while samples is not None and heard < samples:
        silence = np.zeros(min(size, samples - heard), np.float32)
        heard += len(silence)
        yield silence


def _joined(rows: list[Sound], stream: Stream) -> Sound:
    rows.append(stream.finish())
    return np.concatenate(rows)


def _as_long(symbols: list[Sound], rows: int, backend: AudioBackend) -> Sound:
    """DeepSpeech makes no window for a last 12 ms or less: its last row then stands for them too."""
    have = sum(map(len, symbols))
    if abs(have - rows) > 1 or not have:
        raise WorkError(f"{backend.name} gave {have} rows for {rows}", where="audio features")
    if have < rows:
        symbols.append(symbols[-1][-1:])
    return np.concatenate(symbols)[:rows].astype(np.float32, copy=False)


def frames_from_speech(
    rows: NDArray[Any],
    frames: int,
    fps: float | Fraction,
    offset_s: float = 0.0,
    *,
    log_probabilities: bool = False,
) -> NDArray[np.float32]:
    """Rows at 50 a second, (T50,) or (T50, n), read at the middle of each frame's time, linearly in between.

    Frame i lasts from i / fps to (i + 1) / fps. Sound that is late by `offset_s` against the picture is
    read so much later. Beyond the ends the first and the last row hold. At 25 fps without offset a
    frame is the mean of its two rows. `log_probabilities` makes each row sum to one again.
    """
    at = ((np.arange(frames) + 0.5) / float(fps) + offset_s) * 50.0 - 0.5
    at = np.clip(at, 0, max(len(rows) - 1, 0))
    low = np.minimum(at.astype(int), max(len(rows) - 2, 0))
    part = (at - low).reshape(-1, *[1] * (rows.ndim - 1))
    high = np.minimum(low + 1, len(rows) - 1)
    read = rows[low] * (1 - part) + rows[high] * part
    if log_probabilities:
        read = read - np.log(np.exp(read).sum(-1, keepdims=True))
    return np.asarray(read, np.float32)
