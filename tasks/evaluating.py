"""The stage `evaluate`: dubs of a clip over itself, held against that clip where no training saw it.

    artifact = evaluate(Job(home, "anna", material, trials, scored(home, material, trials)))

Which frames count, and what is said over them, is `tasks.trials`; how films are watched, `tasks.judged`. What
is kept: every figure of every method with its bounds, in JSON and in the ledger's `metrics`. Called by
`flows.evaluate`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import consent
from storage.artifacts import Artifact, Made, produce
from storage.home import Home
from storage.recipes import Recipe
from tasks.judged import TRUTH, judged
from tasks.material import Material
from tasks.trials import WRONG_S, Scored, Trial, recipe_told

__all__ = ["SCORES", "Job", "evaluate", "recipe_of"]

# Risen when the same dubs get other scores.
VERSION = 4
SCORES = "scores.json"


@dataclass(frozen=True, eq=False)
class Job:
    """One evaluation, with everything that it is made from."""

    home: Home
    identity: str
    material: Material
    trials: Sequence[Trial]
    scored: Scored
    step: Callable[[int, int], None] | None = None  # films watched, of how many
    waiting: Callable[[str], None] | None = None


def recipe_of(job: Job) -> Recipe:
    """What the evaluation is made of, and so what it is called."""
    told = job.scored
    inputs = {"truth": job.material.clip.id}
    for one in job.trials:
        inputs |= {one.method: one.own.id, f"{one.method}, wrong sound": one.wrong.id}
    methods = [one.method for one in job.trials]
    parameters = {"frames": [told.start, told.stop], "split": told.split, "methods": methods}
    return Recipe("evaluation", "evaluate", VERSION, parameters, inputs)


def evaluate(job: Job) -> Artifact:
    """The evaluation: found, or made now."""
    consent.require(job.home, job.identity, "dub")
    recipe = recipe_of(job)

    def make(workspace: Path) -> Made:
        found = judged(job.home, job.material, job.trials, job.scored, workspace, job.step)
        (workspace / SCORES).write_text(json.dumps(_told(job, found), indent=1))
        return Made(metrics=_metrics(job, recipe.id, found), lineage=_heard(job))

    return produce(job.home, recipe, make, identity=job.identity, waiting=job.waiting)


def _heard(job: Job) -> list[dict[str, Any]]:
    """Where the sounds came from that the dubs have as speech."""
    clip, one = job.material.clip.id, job.trials[0]
    return [
        {"child": f"sha256:{sha256}", "parent": clip, "role": role, "parent_name": None}
        for dub, role in ((one.own, "its sound"), (one.wrong, f"its sound, {WRONG_S} s late"))
        for _, sha256 in recipe_told(dub)["raw"]
    ]


def _told(job: Job, found: dict[str, Any]) -> dict[str, Any]:
    told, rate = job.scored, job.material.rate
    methods = {
        one.method: {"dub": one.own.id, "dub_wrong_sound": one.wrong.id, **found["methods"][one.method]}
        for one in job.trials
    }
    return {
        "clip": job.material.clip.id,
        "identity": job.identity,
        "frames": [told.start, told.stop],
        "seconds": (told.stop - told.start) / rate,
        "rate": rate,
        "split": told.split,
        "why": told.why,
        "notes": list(told.notes),
        **found,
        "methods": methods,
    }


def _metrics(job: Job, recipe: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    named = {"artifact": recipe, "identity": job.identity, "split": job.scored.split}
    everybody = {**found["methods"], TRUTH: found[TRUTH]}
    return [
        {**named, "metric": name, "method": method, "value": one["mean"], **_bounds(one)}
        for method, told in everybody.items()
        for name, one in told["figures"].items()
    ]


def _bounds(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("low", "high", "count")}
