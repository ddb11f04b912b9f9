"""Films watched by a worker process: MediaPipe talks to standard error, which is the user's.

Private to `tasks.judged`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.home import Home
from tasks.audio import extract_audio, find_backend, frames_from_speech
from tasks.in_sync import bundled_expert, measured, public_scorer
from tasks.team import Team
from tasks.threads import one_thread
from tasks.watching import Watched, watch

__all__ = ["Looker"]

F64 = NDArray[np.float64]


@dataclass
class Looker:
    """Looks at film after film, and counts them."""

    home: Home
    team: Team
    films: int
    step: Callable[[int, int], None] | None
    done: int = 0

    def watched(self, film: Path, first: int, stop: int) -> Watched:
        """What is seen of these frames."""
        seen: Watched = self.team.do(watch, film, first, stop, name=f"watch-{self.done}")
        self._tell()
        return seen

    def in_sync(self, film: Path, first: int, stop: int) -> dict[str, float | None]:
        """What the expert says of lips and sound; nothing where too little is scored."""
        told: dict[str, float | None] = self.team.do(
            in_sync_of, film, self.home.url, first, stop, name=f"in-sync-{self.done}"
        )
        self._tell()
        return told

    def heard(self, film: Path, frames: int, rate: float) -> tuple[F64, F64]:
        """Loudness and voice by frame."""
        found: tuple[F64, F64] = self.team.do(heard_in, film, frames, rate, name=f"heard-{self.done}")
        return found

    def _tell(self) -> None:
        self.done += 1
        if self.step is not None:
            self.step(self.done, self.films)


def in_sync_of(film: Path, home: str, first: int, stop: int) -> dict[str, float | None]:
    """What the expert, and the public one where it is here, say of a part of a film; for workers."""
    return measured(film, bundled_expert(Home(home)), first, stop, public_scorer())


@one_thread()
def heard_in(film: Path, frames: int, rate: float) -> tuple[F64, F64]:
    """Loudness and voice of a film's sound by frame; for workers."""
    heard = extract_audio(film, find_backend("embedded"))
    loudness, voice = (frames_from_speech(rows, frames, rate) for rows in (heard.loudness, heard.voice))
    return loudness.astype(np.float64), voice.astype(np.float64)
