"""Films of an evaluation, watched: every figure of every method, curves, films and pictures for its page.

    found = judged(home, takes, judges, workspace)

Films are watched as anybody would, by a worker; their figures are `tasks.judging`'s, pooled over all takes
here. Called by `tasks.evaluating`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from storage.home import Home
from tasks._looker import Looker
from tasks._one_take import TRUTH, Found, films_watched, watched_take
from tasks.judging.judges import Judges
from tasks.judging.published import published
from tasks.judging.told import Frames, about, pairs, summaries
from tasks.team import open_team
from tasks.trials import DRIVEN, Take, strangers
from tasks.watching import mouth_sheet

__all__ = ["SHEET", "TRUTH", "judged"]

SHEET = "mouths.jpg"


def judged(
    home: Home,
    takes: Sequence[Take],
    judges: Judges,
    workspace: Path,
    step: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """All that is told; films, worst moments and the first take's mouths lie in `workspace` then."""
    found = []
    with open_team(1) as team:
        look = Looker(home, team, sum(map(films_watched, takes)), step)
        for number, take in enumerate(takes, 1):
            with ExitStack() as files:
                found.append(watched_take(home, take, str(number), look, judges, files, workspace))
                if number == 1:
                    (workspace / SHEET).write_bytes(mouth_sheet(found[0].rows))
    return _pooled(takes, found)


def _pooled(takes: Sequence[Take], found: Sequence[Found]) -> dict[str, Any]:
    methods = {name: _figures(found, name) for name in found[0].frames}
    splits = [take.scored.split for take in takes]
    driven = splits[0] == DRIVEN
    return {
        "split": "all" if "all" in splits else splits[0],
        "seconds": sum(one.told["seconds"] for one in found),
        # The same of all takes, as one person's checkpoints are.
        "notes": [*strangers(takes[0].trials), *_notes(found)],
        "figures": about({name for one in methods.values() for name in one}),
        "methods": {name: {"figures": one} for name, one in methods.items()},
        TRUTH: None if driven else {"figures": _true_figures(found)},
        "pairs": pairs({name: _takes(found, name) for name in methods}),
        "takes": [one.told for one in found],
        "published": [] if driven else published(list(methods)),
    }


def _figures(found: Sequence[Found], method: str) -> dict[str, dict[str, float | int | None]]:
    """Means with bounds; and what is told of whole films, which has none."""
    films = [(one.whole[method], one.told["seconds"]) for one in found]
    return summaries(_takes(found, method)) | _whole(films)


def _true_figures(found: Sequence[Found]) -> dict[str, dict[str, float | int | None]]:
    """Of the true films, by themselves: how they move, and how well an expert finds them in step."""
    films = [(one.whole[TRUTH], one.told["seconds"]) for one in found]
    return summaries([(one.truth, one.rate) for one in found if one.truth is not None]) | _whole(films)


def _takes(found: Sequence[Found], method: str) -> list[tuple[Frames, float]]:
    return [(one.frames[method], one.rate) for one in found]


def _whole(told: Sequence[tuple[Mapping[str, float | None], float]]) -> dict[str, dict[str, Any]]:
    """Means over films, each as much as it is long; of memory, and of what is out of step, the most."""
    pooled: dict[str, dict[str, Any]] = {}
    for name in told[0][0]:
        known = [(value, weight) for one, weight in told if (value := one.get(name)) is not None]
        mean = sum(v * w for v, w in known) / sum(w for _, w in known) if known else None
        most = max((v for v, _ in known), default=None, key=abs)
        value = most if name in ("memory", "offset") else mean
        pooled[name] = {"mean": value, "low": None, "high": None, "count": None}
    return pooled


def _notes(found: Sequence[Found]) -> list[str]:
    """Those of all takes; of several, with the clip that each is about."""
    rates = sorted({one.rate for one in found})
    if len(found) == 1:
        return list(found[0].told["notes"])
    lines = [f"{one.told['clip']}: {line}" for one in found for line in one.told["notes"]]
    if len(rates) > 1:
        told = ", ".join(f"{rate:g}" for rate in rates)
        lines.append(f"clips have {told} frames a second, and every frame counts alike")
    return lines
