"""How long things took so far: medians over what the ledger holds. Called by `flows.planning`.

Of stages that look at pictures, seconds a frame; of ingest, seconds a byte of footage; of trainings and dubs,
seconds altogether. All by the clock: where many clips are under way at once each takes longer than alone, so
that sums over clips are an upper bound there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from storage.ledger import Ledger, asking

__all__ = ["Pace"]

PER_FRAME = """
select a.kind, median(a.seconds / c.frames) from artifacts a
join lineage l on l.child = a.id and l.role = 'clip' join clips c on c.id = l.parent
where c.frames > 0 group by 1"""
OF_MEMORIES = """
select median(took / frames) from (
  select any_value(a.seconds) as took, sum(c.frames) as frames from artifacts a
  join lineage f on f.child = a.id join lineage l on l.child = f.parent and l.role = 'clip'
  join clips c on c.id = l.parent where a.kind = 'memory' group by a.id) where frames > 0"""
OF_FILES = """
select median(a.seconds / c.source_bytes), median(c.frames / c.source_bytes),
  median(c.duration_s / c.source_bytes)
from clips c join artifacts a using (id) where c.source_bytes > 0"""


@dataclass
class Pace:
    """Past runs, as medians."""

    ledger: Ledger
    per_frame: dict[str, float] = field(init=False)
    seconds_per_byte: float | None = field(init=False)
    frames_per_byte: float | None = field(init=False)
    footage_per_byte: float | None = field(init=False)
    whole: dict[tuple[str, ...], float] = field(init=False)

    def __post_init__(self) -> None:
        with asking(self.ledger) as connection:
            self._learn(connection.execute)

    def _learn(self, ask: Any) -> None:
        self.per_frame = dict(ask(PER_FRAME).fetchall())
        (remembering,) = ask(OF_MEMORIES).fetchall()[0]
        if remembering is not None:
            self.per_frame["remember"] = remembering
        (found,) = ask(OF_FILES).fetchall()
        self.seconds_per_byte, self.frames_per_byte, self.footage_per_byte = found
        columns, chosen = "kind, seconds, recipe", "('checkpoint', 'dub')"
        rows = ask(f"select {columns} from artifacts where kind in {chosen}").fetchall()
        self.whole = _medians(rows)

    def of_frames(self, stage: str, frames: float | None) -> float | None:
        """Minutes for so many frames; None where that stage never ran, or the frames are not known."""
        seconds = self.per_frame.get(stage)
        return None if seconds is None or frames is None else seconds * frames / 60

    def of_file(self, size: int) -> float | None:
        """Minutes to take a file of footage."""
        return None if self.seconds_per_byte is None else self.seconds_per_byte * size / 60

    def frames_of(self, size: int) -> float | None:
        """How many frames a file of footage may have."""
        return None if self.frames_per_byte is None else self.frames_per_byte * size

    def footage_of(self, size: int) -> float:
        """How many seconds a file of footage may last; 0 where no past one tells."""
        return (self.footage_per_byte or 0.0) * size

    def of_training(self, method: str, preset: str, stage: str) -> float | None:
        """Minutes that this stage took, whoever was trained."""
        return self._minutes("checkpoint", method, preset, stage)

    def of_dub(self, method: str, preset: str) -> float | None:
        """Minutes that a dub took, however long it was."""
        return self._minutes("dub", method, preset)

    def _minutes(self, *key: str) -> float | None:
        seconds = self.whole.get(key)
        return None if seconds is None else seconds / 60


def _medians(rows: Sequence[tuple[str, float, str]]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for kind, seconds, recipe in rows:
        told: dict[str, Any] = json.loads(recipe)["parameters"]
        names = ("method", "preset", "stage") if kind == "checkpoint" else ("method", "preset")
        found[(kind, *(str(told.get(name)) for name in names))].append(seconds)
    return {key: median(values) for key, values in found.items()}
