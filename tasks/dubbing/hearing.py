"""Driving speech: what is heard in a sound file of any kind and length, kept on disk and not in memory.

    heard = listen(path, backend, folder)
    for block in heard.blocks(): ...        # what `Speaker.listen` wants

Called by `tasks.dubbing.stage`. The whole sound is heard before anything is drawn: whether somebody speaks is
known only from what comes after, and a file that breaks off is found out early.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.audio import RATE, Stream, activity, log_mel, loudness, speech_rows, voice_cues
from models.audio.voice import CUES
from models.methods import Heard
from storage.errors import MediaError, WorkError
from storage.media import Probe, SoundReader, probe
from tasks.audio_backends import AudioBackend
from tasks.dubbing.spool import Spool, SpoolWriter

__all__ = ["Hearing", "listen", "require_audible"]

F32 = NDArray[np.float32]
SYMBOLS, BANDS = 29, 80
# Rows that a method is given at a time, five seconds; and those of log-mel, which come 80 a second.
_BLOCK, _MEL_BLOCK = 250, 400
_BLOCK_S = 4.0
_SHORTEST_S = 0.04
# Where nothing is louder there is nothing to be heard; speech is seldom softer than the second.
_NOTHING, _NOTHING_LUFS, _QUIET_LUFS = 3e-4, -70.0, -40.0
_NOISY_DB = 15.0
_SPEAKS, _SILENT = 0.5, 0.2


@dataclass(frozen=True)
class Hearing:
    """A sound that was heard to its end. Rows are 50 a second."""

    folder: Path
    seconds: float
    warnings: tuple[str, ...]

    @property
    def voice(self) -> F32:
        """Voice activity (n,), 0 to 1: of an hour 0.7 MB."""
        return Spool(self.folder / "voice.f32", 1).read()[:, 0]

    def blocks(self) -> Iterator[Heard]:
        """All of it, in order, a few seconds at a time."""
        *spools, mel = (Spool(self.folder / f"{name}.f32", width) for name, width in _SPOOLS.items())
        rows = len(spools[0])
        for number, start in enumerate(range(0, rows, _BLOCK)):
            speech, level, voice = (torch.from_numpy(s.read(start, start + _BLOCK)) for s in spools)
            # The last block has the row after the end, too.
            upto = (number + 1) * _MEL_BLOCK if start + _BLOCK < rows else None
            bands = torch.from_numpy(mel.read(number * _MEL_BLOCK, upto))
            yield Heard(speech, level[:, 0], voice[:, 0], bands)


_SPOOLS = {"speech": SYMBOLS, "loudness": 1, "voice": 1, "mel": BANDS}
_WHOLE = "heard.json"


def require_audible(path: Path) -> None:
    """Raises a MediaError where nothing can be heard, having read no more than tells it."""
    sound = SoundReader(path, RATE, info=_require_sound(path))
    heard = 0
    for block in sound.blocks(_BLOCK_S):
        heard += len(block)
        if heard >= _SHORTEST_S * RATE and np.abs(block).max() > _NOTHING:
            return
    if heard >= _SHORTEST_S * RATE:
        raise _silent(path)
    what = "no sound can be decoded" if not heard else "is too short to say anything"
    raise MediaError(what, where=path, do="give at least 0.2 s of speech")


def _silent(path: Path) -> MediaError:
    return MediaError("is silent", where=path, do="give a file in which somebody speaks")


def _require_sound(path: Path) -> Probe:
    """What the file is; a MediaError where nothing can be heard in it."""
    found = probe(path)
    if found.audio is None:
        raise MediaError("has no sound", where=path, do="give a file with speech")
    return found


def listen(path: Path, backend: AudioBackend, folder: Path) -> Hearing:
    """Hear all of a file; what an earlier run left in `folder` is taken if it is whole."""
    whole = folder / _WHOLE
    if not whole.exists():
        folder.mkdir(parents=True, exist_ok=True)
        require_audible(path)
        found = probe(path)
        samples = _hear(SoundReader(path, RATE, info=found), backend, folder)
        told = {"seconds": samples / RATE, "warnings": _warnings(path, found, folder)}
        whole.with_suffix(".part").write_text(json.dumps(told))
        whole.with_suffix(".part").replace(whole)
    told = json.loads(whole.read_text())
    return Hearing(folder, told["seconds"], tuple(told["warnings"]))


def _hear(sound: SoundReader, backend: AudioBackend, folder: Path) -> int:
    """Writes all spools; returns the number of samples."""
    heard = 0
    with ExitStack() as stack:
        speech, level, mel, cues = (
            stack.enter_context(SpoolWriter(folder / f"{name}.f32", width))
            for name, width in (("speech", SYMBOLS), ("loudness", 1), ("mel", BANDS), ("cues", CUES))
        )
        streams: list[tuple[Stream, SpoolWriter]]
        streams = [(loudness(), level), (log_mel(), mel), (voice_cues(), cues)]

        def tapped() -> Iterator[F32]:
            nonlocal heard
            for block in sound.blocks(_BLOCK_S):
                for stream, spool in streams:
                    spool.append(stream.push(block))
                heard += len(block)
                yield block

        last = np.zeros((0, SYMBOLS), np.float32)
        for rows in backend.stream(tapped()):
            last = rows[-1:] if len(rows) else last
            speech.append(rows[: max(speech_rows(heard) - speech.rows, 0)] if len(rows) else rows)
        for stream, spool in streams:
            spool.append(stream.finish())
        _check_heard(heard, backend, speech.rows)
        # DeepSpeech makes no window for a last 12 ms or less: its last row then stands for them too.
        speech.append(np.repeat(last, speech_rows(heard) - speech.rows, axis=0))
    _tell_voice(folder)
    return heard


def _check_heard(heard: int, backend: AudioBackend, rows: int) -> None:
    if not 0 <= speech_rows(heard) - rows <= 1 or not rows:
        raise WorkError(f"{backend.name} gave {rows} rows for {speech_rows(heard)}", where="driving speech")


def _tell_voice(folder: Path) -> None:
    path = folder / "cues.f32"
    cues: Any = np.memmap(path, np.float32, "r").reshape(-1, CUES)
    with SpoolWriter(folder / "voice.f32", 1) as voice:
        voice.append(activity(cues))
    del cues
    path.unlink()


def _warnings(path: Path, found: Probe, folder: Path) -> list[str]:
    """What speaks against the sound, in plain words; a MediaError where there is nothing in it."""
    level, voice = (Spool(folder / f"{name}.f32", 1).read()[:, 0] for name in ("loudness", "voice"))
    if level.max() < _NOTHING_LUFS:
        raise _silent(path)
    warnings = [f"the sound file: {defect}" for defect in found.defects]
    spoken, silent = level[voice > _SPEAKS], level[voice < _SILENT]
    if not len(spoken):
        return [*warnings, "no speech is heard in the sound: the mouth stays shut"]
    if np.median(spoken) < _QUIET_LUFS:
        warnings.append(f"the speech is quiet ({np.median(spoken):.0f} LUFS): the lips may follow it poorly")
    if len(silent) > 25 and np.median(spoken) - np.percentile(silent, 10) < _NOISY_DB:
        above = np.median(spoken) - np.percentile(silent, 10)
        warnings.append(f"the speech is only {above:.0f} dB above the noise: the lips may follow it poorly")
    return warnings
