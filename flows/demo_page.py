"""The demonstration's page: the dub beside the truth, lips against sound, the memory, where it all came from.

Private to `flows.demo`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.lineage_page import lineage_svg
from flows.pages import Curve, beside, curves, facts, lines, page, picture, section, table, video
from flows.puppet import Filmed
from storage.artifacts import Artifact
from storage.home import Home
from storage.ledger import Ledger
from storage.ledger.query import Node

if TYPE_CHECKING:
    from flows.dub import Dubbed
    from flows.train import Outcome

__all__ = ["Compared", "Shown", "compared", "write_page"]

_MOUTHS = '<p class="more"><a href="memory.html">All mouths that are remembered</a></p>'
_SOUND_RATE, _BLOCK = 16000, 640


@dataclass(frozen=True)
class Compared:
    """Two videos of the same sentence, as anybody sees them."""

    figures: dict[str, float]
    lips: Sequence[Curve]
    sheet: bytes


@dataclass(frozen=True)
class Shown:
    """All that the page tells of."""

    filmed: Filmed
    truth: Path
    memory: Artifact
    trained: Sequence[Outcome]
    dubbed: Dubbed
    tree: Node
    compared: Compared
    methods: Path | None = None  # the page of all of them


def compared(dub: Path, truth: Path) -> Compared:
    """Watch both, and hold lips against lips."""
    from storage.media import read_sound
    from tasks.team import open_team
    from tasks.watching import best_shift, correlation, mouth_sheet, watch

    # By a worker: MediaPipe talks to standard error, which is the user's here.
    with open_team(1) as team:
        made, true = (team.do(watch, video, name="watching") for video in (dub, truth))
    sound = read_sound(truth, _SOUND_RATE, True)
    blocks = sound[: len(sound) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    loud = np.sqrt((blocks**2).mean(1))
    figures = {
        "lip_correlation": correlation(made.gaps, true.gaps),
        "lips_late_frames": float(best_shift(made.gaps, true.gaps)),
    }
    lips = [
        Curve("sound", loud.tolist(), _SOUND_RATE / _BLOCK, filled=True),
        Curve("the dub's lips", _known(made.gaps), made.rate),
        Curve("the truth's lips", _known(true.gaps), true.rate),
    ]
    return Compared(figures, lips, mouth_sheet([(truth, true), (dub, made)]))


def _known(values: Any) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]


def write_page(home: Home, shown: Shown, path: Path) -> Path:
    """Write it, and the memory's page beside it."""
    from flows.gallery import gallery
    from tasks.remember import open_memory

    path.parent.mkdir(parents=True, exist_ok=True)
    remembered = open_memory(home, shown.memory)
    path.with_name("memory.html").write_text(gallery(shown.filmed.clip.identity or "", remembered), "utf-8")
    path.write_text(_page(home, shown, path.parent), encoding="utf-8")
    return path


def _page(home: Home, shown: Shown, folder: Path) -> str:
    def relative(file: Path | str) -> str:
        return os.path.relpath(file, folder)

    dub, found = shown.dubbed, shown.compared
    clip = home.path(shown.filmed.clip.uri) / "clip.mp4"
    players = (
        video(relative(dub.path), "The dub: the mouth is drawn, all else is the footage below"),
        video(relative(shown.truth), "The truth: filmed saying it, never shown to any training"),
    )
    lips = (
        curves(found.lips, "lines: how far lips are open, the eyes' distance being 1"),
        picture(found.sheet, "Mouths at the same moments: above the truth, below the dub"),
    )
    footage = video(relative(clip), "The footage", 0.8, small=True)
    told = (
        f"The dub's lips follow the truth's with a correlation of {found.figures['lip_correlation']:.2f}, "
        f"{_in_step(found.figures['lips_late_frames'])}."
    )
    return page(
        "memdub: a puppet, dubbed",
        "Nobody is shown: this person, the voice and every movement are made by memdub. " + told,
        [
            section("A sentence that was never filmed", beside(*players)),
            *_others(shown, relative),
            section("Lips and sound", *lips),
            section("What it was learned from", beside(footage, _facts(home, shown)), _MOUTHS),
            section("Training", _trained(shown.trained)),
            section("What the file says of itself", lines(_manifest(dub.path))),
            section("Where it came from", f'<div class="scroll">{lineage_svg(shown.tree)}</div>'),
        ],
    )


def _others(shown: Shown, relative: Callable[[Path], str]) -> list[str]:
    if shown.methods is None:
        return []
    link = f'<a href="{relative(shown.methods)}">All methods side by side with the truth</a>'
    text = f"<p>On seconds of the footage that none of them was trained on: {link}.</p>"
    return [section("Other methods", text)]


def _facts(home: Home, shown: Shown) -> str:
    clip = next(
        row for row in Ledger(home.objects).rows("clips").to_pylist() if row["id"] == shown.filmed.clip.id
    )
    told = {
        "clip": clip["id"],
        "frames": f"{clip['frames']} at {clip['rate_num'] / clip['rate_den']:g} a second",
        "size": f"{clip['width_px']} x {clip['height_px']}",
        "dub": shown.dubbed.dub.id,
        "took": f"{shown.dubbed.dub.row['seconds']:.1f} s for {shown.dubbed.told['seconds']:.1f} s of speech",
    }
    return facts(told)


def _in_step(late: float) -> str:
    frames = round(abs(late))
    apart = f"{frames} frame{'' if frames == 1 else 's'}"
    return "in step" if not frames else f"{apart} {'later' if late > 0 else 'earlier'}"


def _trained(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for one in outcomes:
        told = ", ".join(
            f"{name.replace('_', ' ')} {value:.3g}" for name, value in sorted(one.metrics.items())
        )
        rows.append([one.stage, one.checkpoint.id, _took(one.checkpoint.row["seconds"]), told])
    return table(["stage", "checkpoint", "took", "on what was held out"], rows, words=True)


def _took(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _manifest(path: Path) -> list[str]:
    from flows.verify import verify

    return verify(path).lines()
