"""Films of an evaluation, watched: every figure of every method, curves, and pictures of what went wrong.

    found = judged(home, material, trials, scored, workspace)

Films are watched as anybody would, by a worker; their figures are `tasks.judging`'s. Called by
`tasks.evaluating`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.artifacts import Artifact
from storage.home import Home
from storage.media import VideoReader
from tasks.dubbing.stage import FILM
from tasks.extract import file_of, video_of
from tasks.in_sync import bundled_expert, measured, public_scorer
from tasks.judging.crops import FACE, corners
from tasks.judging.films import figures_of, own_figures
from tasks.judging.lips import opening
from tasks.judging.told import about, number, pairs, summaries, worst_frames
from tasks.material import Material
from tasks.team import Team, open_team
from tasks.trials import Scored, Trial
from tasks.watching import Watched, mouth_sheet, watch

__all__ = ["SHEET", "TRUTH", "judged"]

F64 = NDArray[np.float64]

SHEET = "mouths.jpg"
TRUTH = "truth"
_SPEAKS = 0.5
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 88]


def judged(
    home: Home,
    material: Material,
    trials: Sequence[Trial],
    scored: Scored,
    workspace: Path,
    step: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """All that is told of figures; pictures of mouths and of worst moments lie in `workspace` then."""
    rate, frames, rest, worst = material.rate, {}, {}, []
    loudness, voice = (_heard(material, scored, name) for name in ("loudness", "voice"))
    curves: dict[str, Any] = {"rate": rate, "loudness": _curve(loudness)}
    with ExitStack() as files, open_team(1) as team:
        look = _Looker(home, scored, team, 1 + 3 * len(trials), step)
        truth = files.enter_context(video_of(home, material.clip))
        true = look(truth)
        curves[TRUTH], rows = _curve(true.gaps), [(truth, true)]
        for one in trials:
            own, wrong = (files.enter_context(file_of(home, dub, FILM)) for dub in (one.own, one.wrong))
            made = look(own)
            rows.append((own, made))
            found = frames[one.method] = figures_of(own, made, truth, true, voice > _SPEAKS)
            found["opening_wrong_sound"] = _opening(look(wrong).gaps, true.gaps)
            rest[one.method] = {**look.in_sync(own), "seconds": _pace(one.own, material)}
            curves[one.method] = _curve(made.gaps)
            worst += _worst(one.method, found["lmd"], own, truth, true, workspace)
        (workspace / SHEET).write_bytes(mouth_sheet(rows))
    methods = {name: summaries([(own, rate)]) | _whole(rest[name]) for name, own in frames.items()}
    return {
        "figures": about({name for one in methods.values() for name in one}),
        "methods": {name: {"figures": one} for name, one in methods.items()},
        TRUTH: {"figures": summaries([(own_figures(true, voice > _SPEAKS), rate)])},
        "pairs": pairs({name: [(own, rate)] for name, own in frames.items()}),
        "curves": curves,
        "worst": worst,
    }


def _heard(material: Material, scored: Scored, name: str) -> F64:
    """Loudness or voice of the frames that count; as if nobody spoke where a clip has no sound."""
    if f"audio/{name}_frames" not in material.group.names:
        return np.full(scored.stop - scored.start, np.nan)
    rows = material.group.read(f"audio/{name}_frames")
    return np.asarray(rows, np.float64)[scored.start : scored.stop]


def _curve(values: F64) -> list[float | None]:
    return [number(round(float(value), 4)) for value in values]


def _opening(made: F64, true: F64) -> F64:
    """The correlation of as many frames as the truth has."""
    lacks = max(len(true) - len(made), 0)
    return opening(np.r_[made[: len(true)], np.full(lacks, np.nan)], true)


def _pace(dub: Artifact, material: Material) -> float:
    """Seconds of work for a second of film."""
    return float(dub.row["seconds"]) * material.rate / max(len(material.seen), 1)


def _whole(told: Mapping[str, float | None]) -> dict[str, dict[str, float | int | None]]:
    """What is told of a film as a whole, and has no bounds."""
    return {
        name: {"mean": None if value is None else float(value), "low": None, "high": None, "count": None}
        for name, value in told.items()
    }


def _worst(
    method: str, values: F64, video: Path, truth: Path, true: Watched, folder: Path
) -> list[dict[str, Any]]:
    """The frames where lips are farthest off, with a picture of each: the truth, and what was made."""
    told = []
    width, height = VideoReader(truth).size
    places, size = corners(true, FACE, width, height)
    for frame in worst_frames(values, true.rate):
        (x, y), at = places[frame], true.first + frame
        crops = [_frame(film, at)[y : y + size[0], x : x + size[1]] for film in (truth, video)]
        name = f"worst-{method}-{frame}.jpg"
        coded = cv2.imencode(".jpg", np.hstack(crops)[..., ::-1], _QUALITY)[1]
        (folder / name).write_bytes(bytes(coded.tobytes()))
        told.append(
            {
                "method": method,
                "frame": frame,
                "figure": "lmd",
                "value": float(values[frame]),
                "picture": name,
            }
        )
    return told


def _frame(film: Path, at: int) -> NDArray[np.uint8]:
    return next(iter(VideoReader(film).read(at, at + 1)))


@dataclass
class _Looker:
    """Watches film after film, by a worker: MediaPipe talks to standard error, which is the user's."""

    home: Home
    scored: Scored
    team: Team
    films: int
    step: Callable[[int, int], None] | None
    done: int = 0

    def __call__(self, film: Path) -> Watched:
        first, stop = self.scored.start, self.scored.stop
        seen: Watched = self.team.do(watch, film, first, stop, name=f"watch-{self.done}")
        self._tell()
        return seen

    def in_sync(self, film: Path) -> dict[str, float | None]:
        """What the expert says of lips and sound; nothing where too little is scored."""
        first, stop = self.scored.start, self.scored.stop
        told: dict[str, float | None] = self.team.do(
            in_sync_of, film, self.home.url, first, stop, name=f"in-sync-{self.done}"
        )
        self._tell()
        return told

    def _tell(self) -> None:
        self.done += 1
        if self.step is not None:
            self.step(self.done, self.films)


def in_sync_of(film: Path, home: str, first: int, stop: int) -> dict[str, float | None]:
    """What the expert, and the public one where it is here, say of a part of a film; for workers."""
    return measured(film, bundled_expert(Home(home)), first, stop, public_scorer())
