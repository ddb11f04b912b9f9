"""What there is of one person: live clips, and the newest of each kind that was made of each.

Read from the ledger alone, so that a home where nothing is to be done is told in a moment. Shared by the
flows that decide what to do: `flows.refresh`, `flows.planning`, `flows.backfill`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from storage.artifacts import MANIFEST
from storage.home import Home
from storage.ledger import Ledger

if TYPE_CHECKING:
    from tasks.chain import ExtractOptions
    from tasks.training import TrainOptions

__all__ = ["CLIP_STAGES", "Inventory", "train_options"]

Row = dict[str, Any]
# Stages of extraction, in their order.
CLIP_STAGES = ("faces", "track", "audio", "fit", "features")


@dataclass
class Inventory:
    """One look at a person's part of the ledger."""

    home: Home
    ledger: Ledger
    identity: str
    clips: list[Row] = field(init=False)
    artifacts: list[Row] = field(init=False)  # each with its recipe parsed
    coming: Mapping[str, float] = field(init=False)  # of a plan: seconds of what is to be extracted first

    def __post_init__(self) -> None:
        self.clips, self.coming = self.ledger.live_clips(self.identity), {}
        rows = self.ledger.tables["artifacts"].read(partition=f"slug={self.identity}").to_pylist()
        parsed = [{**row, "recipe": json.loads(row["recipe"])} for row in rows]
        self.artifacts = sorted(parsed, key=lambda row: row["started"])

    def foreseen(self, clips: Sequence[Mapping[str, Any]], coming: Mapping[str, float] | None = None) -> Self:
        """As it would be with these live clips, once what is coming has features."""
        then = copy.copy(self)
        then.__dict__.pop("extracted", None)
        then.clips, then.coming = [dict(row) for row in clips], coming or {}
        return then

    def newest(self, kind: str) -> dict[str, Row]:
        """By clip, the last artifact of this kind that was made of it."""
        made = (row for row in self.artifacts if row["kind"] == kind)
        return {row["recipe"]["inputs"].get("clip", ""): row for row in made}

    @cached_property
    def extracted(self) -> dict[str, Row]:
        """Features of live clips, by clip; of those whose files are there."""
        newest = self.newest("features")
        found = {row["id"]: newest[row["id"]] for row in self.clips if row["id"] in newest}
        return {clip: row for clip, row in found.items() if self._is_there(row)}

    def unextracted(self) -> list[Row]:
        """Live clips without features."""
        return [row for row in self.clips if row["id"] not in self.extracted]

    def memory(self) -> Row | None:
        """The memory of just the features that there are now."""
        if self.coming:
            return None
        wanted = sorted(row["id"] for row in self.extracted.values())
        for row in reversed(self.artifacts):
            made_of_these = sorted(row["recipe"]["inputs"].values()) == wanted
            if row["kind"] == "memory" and made_of_these and self._is_there(row):
                return row
        return None

    def checkpoints(self) -> dict[tuple[str, str], dict[str, Row]]:
        """The last checkpoint of each stage, by method and preset."""
        found: dict[tuple[str, str], dict[str, Row]] = {}
        for row in self.artifacts:
            told = row["recipe"]["parameters"]
            if row["kind"] == "checkpoint" and "method" in told:
                found.setdefault((told["method"], told["preset"]), {})[told["stage"]] = row
        return found

    def changed_share(self, checkpoint: Row) -> float:
        """Seconds that came and went since, over the seconds that it was trained on."""
        seconds = {**self._seconds(), **self.coming}
        features = {row["id"]: row["recipe"]["inputs"].get("clip") for row in self._of_kind("features")}
        inputs = checkpoint["recipe"]["inputs"].items()
        trained = {features.get(name) for role, name in inputs if role.startswith("features")} - {None}
        now = {*self.extracted, *self.coming}
        before = sum(seconds.get(str(clip), 0.0) for clip in trained)
        return sum(seconds.get(str(clip), 0.0) for clip in now ^ trained) / max(before, 1e-9)

    def extract_options(self, clip: str | None = None) -> ExtractOptions:
        """How a clip was extracted; for a clip that was not, how this person's last one was."""
        from tasks.chain import ExtractOptions

        own = self.newest("features").get(clip) if clip is not None else None
        like = own or next(reversed(self._of_kind("features")), None)
        if like is None:
            return ExtractOptions()
        told = {role: self._parameters(name) for role, name in like["recipe"]["inputs"].items()}
        faces = self._parameters(self._inputs(like["recipe"]["inputs"].get("track")).get("faces"))
        asked = {
            "speech": told.get("audio", {}).get("speech"),
            "tracker": faces.get("tracker"),
            "model": self._model(told.get("fit", {}).get("model")),
        }
        if own is not None:  # what was meant for that clip alone
            asked["face"] = told.get("track", {}).get("face")
            asked["offset"] = own["recipe"]["parameters"].get("offset")
        return ExtractOptions(**{name: value for name, value in asked.items() if value is not None})

    def _model(self, name: str | None) -> str | None:
        """A morphable model as a user names it: recipes know a model's content, runs know its file."""
        if name in (None, "builtin"):
            return name
        runs = sorted(self.ledger.rows("runs").to_pylist(), key=lambda row: row["started"], reverse=True)
        for row in runs:
            options = json.loads(row["arguments"]).get("options", {}) if row["flow"] == "extract" else {}
            if str(options.get("model", "")).startswith(f"{name}:"):
                return str(options["model"])
        return None

    def _of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.artifacts if row["kind"] == kind]

    def recipe(self, name: str | None) -> Mapping[str, Any]:
        """Of an artifact of this person; empty where there is none."""
        return next((row["recipe"] for row in self.artifacts if row["id"] == name), {})

    def _parameters(self, name: str | None) -> Mapping[str, Any]:
        return self.recipe(name).get("parameters", {})

    def _inputs(self, name: str | None) -> Mapping[str, str]:
        return self.recipe(name).get("inputs", {})

    def _seconds(self) -> dict[str, float]:
        """Of all clips, retired ones too: a checkpoint may have been trained on them."""
        rows = self.ledger.tables["clips"].read(["id", "duration_s"], f"slug={self.identity}").to_pylist()
        return {row["id"]: row["duration_s"] for row in rows}

    def _is_there(self, row: Row) -> bool:
        return self.home.objects.size(f"{row['uri']}/{MANIFEST}") > 0


def train_options(checkpoint: Row) -> TrainOptions:
    """What was asked for when a checkpoint was trained: of its own stage."""
    from tasks.material import Cut
    from tasks.training import TrainOptions

    told = checkpoint["recipe"]["parameters"]
    cut = Cut(told.get("held_out", 0.2), told.get("seconds"))
    return TrainOptions(
        told["method"], told["preset"], cut, told.get("seed", 0), told["stage"], told.get("plan", {})
    )
