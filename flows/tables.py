"""Rows of the tables that runs show: plain dictionaries. Called by `flows.deployable`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from storage.artifacts import Artifact
from storage.errors import MemdubError
from storage.home import Home
from storage.ledger import Ledger

if TYPE_CHECKING:
    from flows.extract import Outcome

__all__ = ["clip_rows", "feature_rows", "refusal_rows"]


def clip_rows(home: Home, clips: Sequence[Artifact]) -> list[dict[str, Any]]:
    """A row a clip."""
    ids = {clip.id for clip in clips}
    known = {row["id"]: row for row in Ledger(home.objects).rows("clips").to_pylist() if row["id"] in ids}
    return [_clip_row(clip, known[clip.id]) for clip in clips if clip.id in known]


def feature_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """A row a clip whose features are there."""
    return [
        {
            "source": one.row["source_name"],
            "state": _state(one.features),
            "frames": one.row["frames"],
            "frames a second": one.frames_per_second,
            "faces": one.said["faces_at_once"],
            "warnings": "; ".join(one.warnings),
            "features": one.features.id,
        }
        for one in outcomes
    ]


def refusal_rows(refused: Sequence[MemdubError]) -> list[dict[str, Any]]:
    """A row for each item that was refused, with the reason."""
    return [
        {"source": error.where, "state": "refused", "reason": error.what, "what to do": error.do}
        for error in refused
    ]


def _clip_row(clip: Artifact, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "source": row["source_name"],
        "state": _state(clip),
        "seconds": row["duration_s"],
        "frames": row["frames"],
        "size": f"{row['width_px']} x {row['height_px']}",
        "clip": clip.id,
    }


def _state(made: Artifact) -> str:
    return "already there" if made.reused else "new"
