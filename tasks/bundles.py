"""Bundles: the material of one stage of training, from a person's features and memory.

    write_stage_bundle(path, home, stage, about, materials, Cut(), memory=artifact)

What a stage wants is told by the names of its arrays: rows of sound and expression at 25 a second, whole
performances at 30, or canvases at the clips' own rate. Called by `tasks.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.methods import Stage
from models.training import TRAIN, About, Bundle, Segment, write_bundle
from storage.artifacts import Artifact
from storage.errors import RequestError
from storage.home import Home
from tasks._performances import performance_rows
from tasks.audio import frames_from_speech
from tasks.material import Cut, Material, person_arrays, require_material, seconds_of

__all__ = ["ROWS_A_SECOND", "expression_rows", "write_stage_bundle"]

F32 = NDArray[np.float32]
Progress = Callable[[int, int], None]

ROWS_A_SECOND = 25
_PERFORMED = "performed"
_ROWS = {"speech", "expression", "trust"}


def write_stage_bundle(
    path: Path,
    home: Home,
    stage: Stage,
    about: About,
    materials: Sequence[Material],
    cut: Cut,
    *,
    memory: Artifact | None = None,
    brought: Mapping[str, NDArray[Any]] | None = None,
    progress: Progress | None = None,
) -> Path:
    """The stage's bundle at `path`, all or nothing; `brought` are weights to start from or to learn from."""
    more = {**person_arrays(materials), **(brought or {})}
    if _PERFORMED in stage.arrays:
        segments, told = performance_rows(materials, cut)
        require_material(segments)
        write_bundle(path, replace(about, segments=tuple(segments)), told | more)
    elif _ROWS & set(stage.arrays):
        segments, arrays = expression_rows(materials, cut)
        require_material(segments)
        write_bundle(path, replace(about, segments=tuple(segments)), arrays | more)
    elif "render" in stage.arrays:
        from tasks._stills import write_stills

        write_stills(path, home, stage, about, materials, cut, more, progress)
    else:
        from tasks._canvases import write_canvases

        write_canvases(path, home, stage, about, materials, cut, memory, more, progress)
    _check(path, stage)
    return path


def expression_rows(materials: Sequence[Material], cut: Cut) -> tuple[list[Segment], dict[str, F32]]:
    """At 25 a second: speech (N, 2, 31), mel (N, 2, 80), expression (N, 64), trust (N,)."""
    segments: list[Segment] = []
    parts: list[dict[str, F32]] = []
    at = 0
    for one in materials:
        rows, usable = _rows_of(one)
        left = np.inf if cut.seconds is None else cut.seconds - seconds_of(segments, TRAIN)
        own = cut.segments(one.clip.id, usable, float(ROWS_A_SECOND), left)
        segments += [s._replace(start=s.start + at, stop=s.stop + at) for s in own]
        parts.append(rows)
        at += len(usable)
    return segments, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _rows_of(one: Material) -> tuple[dict[str, F32], NDArray[np.int64]]:
    """Rows of a clip, and the number of the shot in which each lies, -1 where there is no face."""
    frames = len(one.seen)
    count = int(frames / one.rate * ROWS_A_SECOND + 1e-6)
    at = np.clip((np.arange(count) + 0.5) * one.rate / ROWS_A_SECOND - 0.5, 0, frames - 1)
    low = np.floor(at + 1e-6).astype(int)
    part = np.where(at - low > 1e-6, at - low, 0).astype(np.float32)
    high = np.minimum(low + (part > 0), frames - 1)
    usable = one.seen[low] & one.seen[high] & (one.shot[low] == one.shot[high])
    expression = np.nan_to_num(one.fit("expression"))
    trust = np.minimum(one.trust[low], one.trust[high])
    mixed = expression[low] * (1 - part[:, None]) + expression[high] * part[:, None]
    rows = {
        "speech": _speech(one, count),
        "mel": _mel(one, count),
        "expression": mixed,
        "trust": np.where(usable, trust, 0),
    }
    return {name: np.asarray(value, np.float32) for name, value in rows.items()}, np.where(
        usable, one.shot[low], -1
    )


def _speech(one: Material, count: int) -> F32:
    """(count, 2, 31): what is heard in either half of a row's time, in step with the picture."""

    def heard(name: str, *, log_probabilities: bool = False) -> F32:
        rows = one.group.read(f"audio/{name}")
        late = one.sound_late_s
        return frames_from_speech(rows, 2 * count, 50.0, late, log_probabilities=log_probabilities)

    loud, voice = heard("loudness"), heard("voice")
    symbols = heard("deepspeech", log_probabilities=True)
    return np.concatenate([symbols, loud[:, None], voice[:, None]], 1).reshape(count, 2, 31)


def _mel(one: Material, count: int) -> F32:
    """(count, 2, 80): log-mel at the same times; its rows are centred on j / 80 s."""
    rows = one.group.read("audio/mel")
    at = ((np.arange(2 * count) + 0.5) / 50.0 + one.sound_late_s) * 80.0
    at = np.clip(at, 0, len(rows) - 1)
    low = np.minimum(at.astype(int), max(len(rows) - 2, 0))
    part = (at - low)[:, None]
    read = rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part
    return np.asarray(read, np.float32).reshape(count, 2, -1)


def _check(path: Path, stage: Stage) -> None:
    try:
        Bundle(path).require(stage.arrays)
    except ValueError as error:
        raise RequestError(f"stage {stage.name!r} wants what features do not give: {error}") from error
