"""The stage `evaluate`: dubs of a person's clips, held against those clips where no training saw them.

    artifact = evaluate(Job(home, "anna", takes, judges))

Which frames count, and what is said over them, is `tasks.trials`; how films are watched, `tasks.judged`. What
is kept: every figure of every method with its bounds, in JSON and in the ledger's `metrics`; the scored
seconds as films, and pictures. Called by `flows.evaluate`.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage import consent
from storage.artifacts import Artifact, Made, produce
from storage.home import Home
from storage.recipes import Recipe, hash_file
from storage.weights import Registry
from tasks.in_sync import PUBLIC
from tasks.judged import TRUTH, judged
from tasks.judging.judges import Judges
from tasks.trials import WRONG_S, Take, recipe_told

__all__ = ["TOLD", "Job", "evaluate", "recipe_of"]

# Risen when other things are told of the same dubs.
VERSION = 9
TOLD = "evaluation.json"


@dataclass(frozen=True, eq=False)
class Job:
    """One evaluation, with everything that it is made from. Takes are all of one kind: with a truth, or
    without."""

    home: Home
    identity: str
    takes: Sequence[Take]
    judges: Judges = field(default_factory=Judges)
    step: Callable[[int, int], None] | None = None  # films watched, of how many
    waiting: Callable[[str], None] | None = None


def recipe_of(job: Job) -> Recipe:
    """What the evaluation is made of, and so what it is called."""
    inputs: dict[str, str] = {}
    for number, take in enumerate(job.takes, 1):
        inputs |= {f"{role} {number}" if number > 1 else role: one for role, one in _inputs(take)}
    parameters = {
        "takes": [[one.scored.start, one.scored.stop, one.scored.split] for one in job.takes],
        "methods": [one.method for one in job.takes[0].trials],
        "weights": {"sync": Registry(job.home.url).find("sync").sha256, **job.judges.digests, **_public()},
    }
    return Recipe("evaluation", "evaluate", VERSION, parameters, inputs)


def _inputs(take: Take) -> Iterator[tuple[str, str]]:
    yield (TRUTH if take.sound is None else "template"), take.material.clip.id
    for one in take.trials:
        yield one.method, one.own.id
        if one.wrong is not None:
            yield f"{one.method}, wrong sound", one.wrong.id


def _public() -> dict[str, str]:
    """The public SyncNet's content, where the user has it: without it less is told."""
    named = os.environ.get(PUBLIC)
    return {"lse": hash_file(named)} if named else {}


def evaluate(job: Job) -> Artifact:
    """The evaluation: found, or made now."""
    consent.require(job.home, job.identity, "dub")
    recipe = recipe_of(job)

    def make(workspace: Path) -> Made:
        found = judged(job.home, job.takes, job.judges, workspace, job.step)
        told = {"identity": job.identity, **found}
        (workspace / TOLD).write_text(json.dumps(told, indent=1))
        return Made(metrics=_metrics(job, recipe.id, found), lineage=[*_heard(job), *_cut(workspace, found)])

    allowed = functools.partial(consent.require, job.home, job.identity, "dub")
    return produce(job.home, recipe, make, identity=job.identity, waiting=job.waiting, allowed=allowed)


def _heard(job: Job) -> Iterator[dict[str, Any]]:
    """Where the sounds came from that the dubs have as speech."""
    for take in job.takes:
        clip, one = take.material.clip.id, take.trials[0]
        if one.wrong is None:
            continue
        for dub, role in ((one.own, "its sound"), (one.wrong, f"its sound, {WRONG_S} s late")):
            for _, sha256 in recipe_told(dub)["raw"]:
                yield {"child": f"sha256:{sha256}", "parent": clip, "role": role, "parent_name": None}


def _cut(workspace: Path, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Films that leave the stores with a page: wherever a copy turns up, the ledger knows what it is."""
    for take in found["takes"]:
        for one in take["methods"].values():
            film = f"sha256:{hash_file(workspace / one['film'])}"
            yield {"child": film, "parent": one["dub"], "role": "cut from it", "parent_name": None}
        if take[TRUTH]:
            film = f"sha256:{hash_file(workspace / take[TRUTH]['film'])}"
            yield {"child": film, "parent": take["clip"], "role": "cut from it", "parent_name": None}


def _metrics(job: Job, recipe: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    named = {"artifact": recipe, "identity": job.identity, "split": found["split"]}
    everybody = {**found["methods"], **({TRUTH: found[TRUTH]} if found[TRUTH] else {})}
    return [
        {**named, "metric": name, "method": method, "value": one["mean"], **_bounds(one)}
        for method, told in everybody.items()
        for name, one in told["figures"].items()
    ]


def _bounds(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("low", "high", "count")}
