"""One take of an evaluation, watched: figures frame by frame, curves, films to show, and worst moments.

Private to `tasks.judged`. What is written lies in the evaluation's folder, under names that begin with the
take's. Shape legend: n frames that count.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.artifacts import Artifact
from storage.home import Home
from storage.media import VideoReader
from tasks._looker import Looker
from tasks.cutting import cut, cut_dub
from tasks.dubbing.stage import FILM, told_of
from tasks.extract import file_of, video_of
from tasks.judging.crops import FACE, corners
from tasks.judging.films import driven_figures, figures_of, own_figures
from tasks.judging.judges import Judges
from tasks.judging.lips import opening
from tasks.judging.told import number, worst_frames
from tasks.material import Material
from tasks.trials import Take, redrawn
from tasks.watching import Watched

__all__ = ["TRUTH", "Found", "films_watched", "watched_take"]

F64 = NDArray[np.float64]
TRUTH = "truth"
_SPEAKS = 0.5
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 88]


@dataclass
class Found:
    """What one take tells."""

    rate: float
    frames: dict[str, Mapping[str, F64]] = field(default_factory=dict)  # by method, then by figure: (n,)
    truth: Mapping[str, F64] | None = None
    whole: dict[str, dict[str, float | None]] = field(default_factory=dict)  # by method, or TRUTH: of a film
    told: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[Path, Watched]] = field(default_factory=list)  # for a sheet of mouths


def films_watched(take: Take) -> int:
    """How often a film of it is looked at."""
    each = sum(2 + (one.wrong is not None) for one in take.trials)
    return each + 2 * (take.sound is None)


def watched_take(
    home: Home, take: Take, name: str, look: Looker, judges: Judges, files: ExitStack, folder: Path
) -> Found:
    """All of it; `files` keeps open what `rows` name."""
    viewer = _Viewer(home, take, name, look, judges, files, folder)
    return viewer.against_truth() if take.sound is None else viewer.driven()


@dataclass
class _Viewer:
    home: Home
    take: Take
    name: str
    look: Looker
    judges: Judges
    files: ExitStack
    folder: Path

    @property
    def rate(self) -> float:
        return self.take.material.rate

    def against_truth(self) -> Found:
        found, start, stop = Found(self.rate), self.take.scored.start, self.take.scored.stop
        film = self.files.enter_context(video_of(self.home, self.take.material.clip))
        true = self.look.watched(film, start, stop)
        loudness, voice = (_heard(self.take.material, start, stop, n) for n in ("loudness", "voice"))
        found.truth = own_figures(true, voice > _SPEAKS)
        found.rows.append((film, true))
        drawn = redrawn(self.take.material, self.take.trials)[start:stop]
        true = _where(drawn, true)
        curves, worst = self._begun(found, loudness), found.told["worst"]
        curves[TRUTH] = _curve(found.rows[0][1].gaps)
        late = self.take.material.sound_late_s
        shown = cut(film, start, stop, self._file(f"{TRUTH}.mp4"), late)
        found.told["truth"] = {"film": shown.name}
        found.whole[TRUTH] = self.look.in_sync(shown, 0, stop - start)
        for one in self.take.trials:
            own, made = self._shown(found, one.method, one.own)
            there = _where(drawn, made)
            frames = dict(figures_of(own, there, film, true, voice > _SPEAKS, judges=self.judges))
            frames["seen"] = _seen(made, found.rows[0][1])
            worst += self._worst(one.method, frames["lmd"], own, film, true)
            if one.wrong is not None:
                wrong = self.files.enter_context(file_of(self.home, one.wrong, FILM))
                seen = self.look.watched(wrong, start, stop)
                frames["opening_wrong_sound"] = _opening(seen.gaps, true.gaps)
                found.told["methods"][one.method]["dub_wrong_sound"] = one.wrong.id
            found.frames[one.method] = frames
        return found

    def driven(self) -> Found:
        found = Found(self.rate)
        count = self.take.scored.stop - self.take.scored.start
        first = self.files.enter_context(file_of(self.home, self.take.trials[0].own, FILM))
        loudness, voice = self.look.heard(first, count, self.rate)
        self._begun(found, loudness)
        for one in self.take.trials:
            _, made = self._shown(found, one.method, one.own)
            found.frames[one.method] = driven_figures(made, voice[: len(made.gaps)] > _SPEAKS)
        return found

    def _begun(self, found: Found, loudness: F64) -> dict[str, Any]:
        scored = self.take.scored
        curves: dict[str, Any] = {"rate": self.rate, "loudness": _curve(loudness)}
        found.told = {
            "name": self.name,
            "clip": self.take.material.clip.id,
            "sound": self.take.sound,
            "frames": [scored.start, scored.stop],
            "seconds": (scored.stop - scored.start) / self.rate,
            "rate": self.rate,
            "why": scored.why,
            "notes": list(scored.notes),
            "methods": {},
            "truth": None,
            "curves": curves,
            "worst": [],
        }
        return curves

    def _shown(self, found: Found, method: str, dub: Artifact) -> tuple[Path, Watched]:
        """A method's film, watched; what is told of it as a whole, and a film to show, are noted."""
        start, stop = self.take.scored.start, self.take.scored.stop
        film = self.files.enter_context(file_of(self.home, dub, FILM))
        made = self.look.watched(film, start, stop)
        seconds = float(dub.row["seconds"]) / max(len(VideoReader(film)) / self.rate, 1 / self.rate)
        memory = told_of(self.home, dub)["figures"].get("dub_peak_mib")
        found.whole[method] = {**self.look.in_sync(film, start, stop), "seconds": seconds, "memory": memory}
        shown = cut_dub(self.home, dub, film, start, stop, self._file(f"{method}.mp4"))
        found.told["methods"][method] = {"dub": dub.id, "dub_wrong_sound": None, "film": shown.name}
        found.told["curves"][method] = _curve(made.gaps)
        found.rows.append((film, made))
        return film, made

    def _file(self, name: str) -> Path:
        return self.folder / f"{self.name}-{name}"

    def _worst(
        self, method: str, values: F64, film: Path, truth: Path, true: Watched
    ) -> list[dict[str, Any]]:
        """The frames where lips are farthest off, with a picture of each: the truth, and what was made."""
        told = []
        places, size = corners(true, FACE, *VideoReader(truth).size)
        for frame in worst_frames(values, true.rate):
            (x, y), at = places[frame], true.first + frame
            crops = [_frame(one, at)[y : y + size[0], x : x + size[1]] for one in (truth, film)]
            path = self._file(f"worst-{method}-{frame}.jpg")
            path.write_bytes(cv2.imencode(".jpg", np.hstack(crops)[..., ::-1], _QUALITY)[1].tobytes())
            one = {"method": method, "frame": frame, "figure": "lmd", "value": float(values[frame])}
            told.append({**one, "picture": path.name})
        return told


def _where(drawn: NDArray[np.bool_], true: Watched) -> Watched:
    """Lips are compared where every method draws them, as if there were no face elsewhere."""
    told = np.where(drawn[: len(true.gaps)], 0.0, np.nan)
    lips, mouths = true.lips + told[:, None, None], true.mouths + told[:, None]
    marks = true.marks + told[:, None, None]
    return true._replace(gaps=true.gaps + told, mouths=mouths, lips=lips, marks=marks)


def _seen(made: Watched, true: Watched) -> F64:
    """Frames (n,) of the truth with a face in both, whatever is compared of it."""
    both = np.zeros(len(true.gaps))
    shown = made.gaps[: len(both)]
    both[: len(shown)] = np.isfinite(shown) & np.isfinite(true.gaps[: len(shown)])
    return both


def _frame(film: Path, at: int) -> NDArray[np.uint8]:
    return next(iter(VideoReader(film).read(at, at + 1)))


def _heard(material: Material, start: int, stop: int, name: str) -> F64:
    """Loudness or voice of the frames that count; as if nobody spoke where a clip has no sound."""
    if f"audio/{name}_frames" not in material.group.names:
        return np.full(stop - start, np.nan)
    return np.asarray(material.group.read(f"audio/{name}_frames"), np.float64)[start:stop]


def _curve(values: F64) -> list[float | None]:
    return [number(round(float(value), 4)) for value in values]


def _opening(made: F64, true: F64) -> F64:
    """The correlation of as many frames as the truth has."""
    lacks = max(len(true) - len(made), 0)
    return opening(np.r_[made[: len(true)], np.full(lacks, np.nan)], true)
