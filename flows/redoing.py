"""Carrying out a backfill: each stage its own way. Called by `flows.backfill`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.again import extract_clips
from flows.engine import as_error
from flows.inventory import CLIP_STAGES, Inventory, train_options
from storage.artifacts import Artifact
from storage.errors import ConsentError, HomeError, LeaseLost, MediaError, RequestError, WorkError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import Run, record_failure

if TYPE_CHECKING:
    from flows.backfill import Backfilled, Redo
    from tasks.chain import ExtractOptions

__all__ = ["Redoing"]


@dataclass
class Redoing:
    """One backfill at work. `how` is what extraction is told: who works, who watches."""

    home: Home
    run: Run
    result: Backfilled
    how: Mapping[str, Any]

    def do(self) -> None:
        """All of it; what fails is noted, and stops only what would fail likewise."""
        if self.result.stage in CLIP_STAGES:
            self._extract({redo.subject: redo for redo in self.result.redos})
            return
        own = {"ingest": self._ingest, "remember": self._remember, "train": self._train}[self.result.stage]
        for redo in self.result.redos:
            try:
                self.result.made += own(self._inventory(redo), redo)
                redo.became = "done"
            except (HomeError, LeaseLost):
                raise
            except ConsentError as error:
                redo.became, redo.why = "blocked", error.what
            except Exception as error:  # the others are done all the same
                self._failed(redo, error)

    def _failed(self, redo: Redo, error: Exception) -> None:
        told = as_error(error)
        redo.became, redo.why = "failed", told.what
        self.result.failed.append(type(told)(told.what, where=redo.subject, do=told.do))
        if isinstance(told, RequestError):
            said = {"stage": self.result.stage, "subject": redo.subject, "identity": redo.identity}
            record_failure(Ledger(self.home.objects), self.run, error=told, **said)

    def _inventory(self, redo: Redo) -> Inventory:
        return Inventory(self.home, Ledger(self.home.objects), redo.identity)

    def _extract(self, redos: Mapping[str, Redo]) -> None:
        """Each clip as it was extracted before; those alike together, as workers are shared."""
        people = {redo.identity: self._inventory(redo) for redo in redos.values()}
        groups: dict[ExtractOptions, dict[str, str]] = {}
        for clip, redo in redos.items():
            options = people[redo.identity].extract_options(clip)
            groups.setdefault(options, {})[clip] = redo.identity
        for options, clips in groups.items():
            made, failed = extract_clips(self.home, options, clips, **self.how)
            self.result.made += made.values()
            for clip in clips:
                redos[clip].became = "done" if clip in made else "failed"
                redos[clip].why = failed.get(clip)
            self.result.failed += [WorkError(reason, where=clip) for clip, reason in failed.items()]

    def _ingest(self, inventory: Inventory, redo: Redo) -> list[Artifact]:
        """A new clip of the same footage, in the place of the former; with its features, if that had any."""
        from flows.ingest import ingest

        row = next(row for row in inventory.clips if row["id"] == redo.subject)
        file = self._footage(inventory, row["source_sha256"], row["source_name"])
        told = inventory.recipe(redo.artifact)["parameters"]
        options = {
            "rate": Fraction(told["rate"]) if told.get("rate") else None,
            "max_side": told.get("max_side"),
            "silent_ok": bool(row["silent"]),
        }
        done = ingest([file], redo.identity, **self._told(), **options)
        done.raise_if_refused()
        (clip,) = done.clips
        features: dict[str, Artifact] = {}
        if redo.subject in inventory.extracted:
            asked = inventory.extract_options(redo.subject)
            features, failed = extract_clips(self.home, asked, {clip.id: redo.identity}, **self.how)
            if failed:
                raise WorkError(failed[clip.id], where=clip.id)
        self._replace(inventory, redo.subject, clip.id)
        return [clip, *features.values()]

    def _footage(self, inventory: Inventory, sha256: str, name: str) -> Path:
        for row in inventory.ledger.sources(inventory.identity):
            file = self.home.path(f"raw/{inventory.identity}/{row['path']}")
            if row["sha256"] == sha256 and row["state"] != "gone" and file.is_file():
                return file
        do = f"put it back into raw/{inventory.identity}/ and run `memdub refresh {inventory.identity}`"
        raise MediaError("its footage is not in raw/", where=name, do=do)

    def _replace(self, inventory: Inventory, former: str, clip: str) -> None:
        """The new clip stands for the footage, as the former did."""
        ledger, identity = inventory.ledger, inventory.identity
        rows = [row for row in ledger.sources(identity) if row["clip"] == former]
        said = {"clip": clip, "changed_at": self.run.started, "run_id": self.run.id}
        ledger.note_sources(identity, [{**row, **said} for row in rows])
        ledger.retire(identity, [former], self.run.started)

    def _remember(self, inventory: Inventory, redo: Redo) -> list[Artifact]:
        from flows.remember import remember

        told = inventory.recipe(redo.artifact)["parameters"]
        return [remember(redo.identity, slots=int(told.get("slots", 300)), home=self.home.url).memory]

    def _train(self, inventory: Inventory, redo: Redo) -> list[Artifact]:
        from flows.train import train

        row = next(one for one in inventory.artifacts if one["id"] == redo.artifact)
        return [one.checkpoint for one in train(redo.identity, train_options(row), **self._told()).outcomes]

    def _told(self) -> dict[str, Any]:
        return {"home": self.home.url, "watch": self.how["watch"], "tell": self.how["tell"]}
