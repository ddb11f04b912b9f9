"""Films a puppet: a video file with sound, and beside it the truth of every frame as Parquet.

The same script gives the same bytes, whatever the number of processes. Frames are made as they are
needed, so that memory does not grow with the film. Flows, tests and the demonstration call this.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from models.puppet import FrameTruth, Puppet, about_neck
from models.puppet.identity import traits
from models.puppet.motion import vivid_style
from models.puppet.performance import Performance, perform
from storage.errors import MemdubError, RequestError, WorkError
from storage.media.writer import MediaWriter
from tasks._truth_table import TRUTH_SCHEMA, TruthWriter
from tasks.speech import Speech, Voice, speak, voice_for
from tasks.threads import one_thread

__all__ = ["TRUTH_SCHEMA", "Film", "Script", "film", "rehearse", "spelt", "truth_beside"]

Progress = Callable[[int, int], None]
_Picture = tuple[np.ndarray, FrameTruth]
_BLOCK = 10


@dataclass(frozen=True)
class Script:
    """Who says what, and how it is filmed. Without a voice, the identity's own is taken."""

    seed: int
    text: str
    language: str = "en-us"
    size: int = 256
    rate: Fraction | int = 25
    voice: Voice | None = None
    light: int | None = None
    background: int | None = None
    supersample: int = 2
    lead_s: float = 0.3  # a closed mouth before and after the speech
    tail_s: float = 0.4
    longest_s: float = 1800.0
    openness: float = 1.0  # how far the mouth opens in speech
    vivid: bool = False  # head and blinks of a manner that is told from others' at a look


@dataclass(frozen=True)
class Film:
    """What was made: both files are whole."""

    video: Path
    truth: Path
    frames: int
    duration_s: float
    voice: Voice
    description: dict[str, Any]


def truth_beside(target: Path) -> Path:
    """Where the truth of the film `target` lies."""
    return target.with_name(f"{target.stem}.truth.parquet")


@one_thread()
def rehearse(script: Script) -> tuple[Speech, Performance, Voice]:
    """The sound and the motion of a film, without pictures."""
    _check(script)
    voice = script.voice or voice_for(script.seed, traits(script.seed).readable(), script.language)
    speech = speak(script.text, voice).with_silence(script.lead_s, script.tail_s)
    if speech.duration_s > script.longest_s:
        what = f"the speech lasts {speech.duration_s:.0f} s, longer than {script.longest_s:.0f} s"
        raise RequestError(what, where="script", do="shorten the text or raise longest_s")
    frames = int(np.ceil(speech.duration_s * script.rate))
    performance = perform(
        speech.phonemes,
        float(frames / Fraction(script.rate)),
        rate=float(script.rate),
        seed=script.seed,
        style=vivid_style(script.seed) if script.vivid else None,
        openness=script.openness,
    )
    return speech, performance, voice


def spelt(script: Script) -> dict[str, Any]:
    """A script as recipes and truths have it; what is as usual is not told where it once could not be."""
    told = {**asdict(script), "rate": str(script.rate)}
    for name in ("openness", "vivid"):
        if told[name] == getattr(Script, name):
            del told[name]
    return told


def _check(script: Script) -> None:
    if script.seed < 0:
        raise RequestError(f"seed is {script.seed}", where="script", do="use a whole number from 0")
    if not 1 <= script.rate <= 120:
        raise RequestError(f"rate is {script.rate} frames a second", where="script", do="use 1 to 120")
    if not (64 <= script.size <= 1024 and script.size % 2 == 0):
        raise RequestError(f"size is {script.size}", where="script", do="use an even size from 64 to 1024")
    if not 0 <= script.openness <= 1.5:
        raise RequestError(f"openness is {script.openness}", where="script", do="use 0 to 1.5")
    if not (0 <= script.lead_s <= 60 and 0 <= script.tail_s <= 60):
        raise RequestError("silence before or after is out of bounds", where="script", do="use 0 to 60 s")


@one_thread()
def film(script: Script, target: Path, *, progress: Progress | None = None, workers: int = 1) -> Film:
    """Film `script` to `target` (.mp4), the truth beside it; both appear when all is done, or neither."""
    target = Path(target)
    if target.suffix.lower() != ".mp4":
        raise RequestError("a film is an .mp4 file", where=target, do="name the target so")
    speech, performance, voice = rehearse(script)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = [
        target.with_name(f".{target.stem}.{os.getpid()}.unfinished{end}") for end in (".mp4", ".parquet")
    ]
    try:
        _shoot(script, speech, performance, voice, unfinished, progress, workers)
        # The truth first: whoever finds the video finds its truth.
        unfinished[1].replace(truth_beside(target))
        unfinished[0].replace(target)
    except MemdubError:
        raise
    except (OSError, ValueError) as error:
        raise WorkError(f"filming failed: {error}", where=target) from error
    finally:
        for path in unfinished:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    duration = len(performance) / float(script.rate)
    return Film(
        target, truth_beside(target), len(performance), duration, voice, traits(script.seed).readable()
    )


def _shoot(
    script: Script,
    speech: Speech,
    performance: Performance,
    voice: Voice,
    paths: list[Path],
    progress: Progress | None,
    workers: int,
) -> None:
    rate = Fraction(script.rate)
    media = MediaWriter(paths[0], (script.size, script.size), rate, speech.rate)
    with media, TruthWriter(paths[1], float(rate), _facts(script, voice)) as table:
        at = 0
        for i, (picture, truth) in enumerate(_pictures(script, performance, workers)):
            media.write_frame(picture)
            until = round((i + 1) / rate * speech.rate)
            media.write_sound(speech.samples[at:until])
            at = min(until, len(speech.samples))
            table.write(truth, performance.expressions[i], performance.phonemes[i])
            if progress is not None:
                progress(i + 1, len(performance))


def _facts(script: Script, voice: Voice) -> dict[str, Any]:
    settings = {**spelt(script), "voice": asdict(voice)}
    who = traits(script.seed).readable()
    return {"seed": script.seed, "text": script.text, "settings": settings, "description": who}


def _pictures(script: Script, performance: Performance, workers: int) -> Iterator[_Picture]:
    rows = zip(performance.expressions, performance.poses, strict=True)
    if workers <= 1:
        puppet = _cast(script)
        for expression, offset in rows:
            yield _picture(puppet, expression, offset)
        return
    blocks = [
        (performance.expressions[i : i + _BLOCK], performance.poses[i : i + _BLOCK])
        for i in range(0, len(performance), _BLOCK)
    ]
    yield from _pictures_by_many(script, blocks, workers)


def _pictures_by_many(
    script: Script, blocks: list[tuple[np.ndarray, np.ndarray]], workers: int
) -> Iterator[_Picture]:
    # Spawned, not forked: the caller may run threads. Few blocks are under way, so that memory is bounded.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_take_the_stage, initargs=(script,))
    with pool:
        waiting: deque[Future[list[_Picture]]] = deque()
        for block in blocks:
            waiting.append(pool.submit(_perform_block, *block))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


_STAGE: dict[str, Puppet] = {}


@one_thread()
def _take_the_stage(script: Script) -> None:
    _STAGE["puppet"] = _cast(script)


@one_thread()
def _perform_block(expressions: np.ndarray, offsets: np.ndarray) -> list[_Picture]:
    return [_picture(_STAGE["puppet"], e, o) for e, o in zip(expressions, offsets, strict=True)]


def _cast(script: Script) -> Puppet:
    return Puppet(
        script.seed,
        script.size,
        supersample=script.supersample,
        light=script.light,
        background=script.background,
    )


def _picture(puppet: Puppet, expression: np.ndarray, offset: np.ndarray) -> _Picture:
    pose = about_neck(offset[:3], puppet.rest_pose)
    pose[3:] += offset[3:]
    return puppet.render(expression, pose), puppet.truth(expression, pose)
