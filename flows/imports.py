"""The flow `import`: a checkpoint that another machine trained comes back, with its lineage whole.

Called by the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.engine import call
from storage.artifacts import Artifact
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import run

__all__ = ["Imported", "import_file"]


@dataclass(frozen=True)
class Imported:
    """The checkpoint, and what is told of it."""

    checkpoint: Artifact
    stage: str
    metrics: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        told = {**self.checkpoint.as_dict(), "stage": self.stage, "metrics": self.metrics}
        return {"checkpoints": [told]}

    def line(self) -> str:
        """One line for people."""
        found = "already there" if self.checkpoint.reused else "imported"
        told = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        whose = f"{self.stage} of {self.checkpoint.identity}"
        return f"{self.checkpoint.id}  {whose}: {found}; held out: {told or 'nothing'}"


def import_file(file: Path, *, home: str | None = None) -> Imported:
    """Take in a checkpoint that was trained from an exported bundle."""
    # Heavy, and not needed to refuse a request.
    from tasks.imports import examine_checkpoint, import_checkpoint

    place = Home(home)
    one = examine_checkpoint(place, file)
    asked = {"file": str(file.absolute())}
    with run(Ledger(place.objects), "import", identity=one.identity, arguments=asked):
        name = f"import {one.identity} {one.told['stage']}"
        checkpoint = call(import_checkpoint, place, one, name=name)
    return Imported(checkpoint, str(one.told["stage"]), dict(one.told["metrics"]))
