"""A checkpoint that was trained elsewhere, from an exported bundle, back into the ledger.

Its header carries the recipe; nothing is believed that the ledger does not know too. Called by
`flows.imports`.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.methods import EXPERTS, METHODS, find_method
from models.train import CHECKPOINT
from models.training import read_checkpoint, write_checkpoint
from storage import consent
from storage.artifacts import Artifact, Made, check_whole, find, produce
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import Recipe
from tasks._curves import metric_rows, write_events
from tasks.training import VERSION, recipe_from

__all__ = ["Import", "examine_checkpoint", "import_checkpoint"]


@dataclass(frozen=True, eq=False)
class Import:
    """A checkpoint that may be taken in."""

    identity: str
    recipe: Recipe
    told: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def examine_checkpoint(home: Home, file: Path) -> Import:
    """The checkpoint, if all of it is as its recipe says; raises RequestError, or ConsentError."""
    if not file.is_file():
        raise RequestError("no such file", where=file, do="name a checkpoint that models.train wrote")
    try:
        told, tensors = read_checkpoint(file)
        recipe = recipe_from(told["recipe"])
    except (ValueError, KeyError) as error:
        do = "name a checkpoint that models.train wrote from an exported bundle"
        raise RequestError(f"no checkpoint of a bundle ({error})", where=file, do=do) from error
    _check_header(file, recipe, told)
    _check_numbers(file, tensors)
    identity = _identity_of(home, file, recipe)
    consent.require(home, identity, "train")
    return Import(identity, recipe, told, tensors)


def import_checkpoint(home: Home, one: Import) -> Artifact:
    """The artifact of its recipe: found, or committed now."""

    def make(workspace: Path) -> Made:
        write_checkpoint(workspace / CHECKPOINT, one.tensors, one.told)
        write_events(workspace, one.told)
        return Made(metrics=metric_rows(one.recipe.id, one.identity, one.told))

    allowed = functools.partial(consent.require, home, one.identity, "train")
    return produce(home, one.recipe, make, identity=one.identity, allowed=allowed)


def _check_header(file: Path, recipe: Recipe, told: dict[str, Any]) -> None:
    parameters = recipe.parameters
    if (recipe.kind, recipe.stage) != ("checkpoint", "train"):
        raise RequestError(f"its recipe makes a {recipe.kind}", where=file, do="name a checkpoint")
    for name in ("method", "stage", "preset", "config", "seed"):
        if json.dumps(parameters.get(name), sort_keys=True) != json.dumps(told.get(name), sort_keys=True):
            what = f"its {name} is not that of its recipe"
            raise RequestError(what, where=file, do="train it again from the bundle")
    method = parameters["method"]
    if method not in METHODS | EXPERTS:
        raise RequestError(f"there is no method {method!r} here", where=file, do="install its version")
    version = find_method(method).version
    if (recipe.stage_version, parameters.get("method_version")) != (VERSION, version):
        do = "export the bundle again with this version, and train"
        raise RequestError(f"made for another version of {method}", where=file, do=do)


def _check_numbers(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    broken = [name for name, value in tensors.items() if not torch.isfinite(value.float()).all()]
    if broken or not tensors:
        what = f"{broken[0]} holds what is no number" if broken else "it holds no weights"
        raise RequestError(what, where=file, do="train it again from the bundle")


def _identity_of(home: Home, file: Path, recipe: Recipe) -> str:
    """Whose it is: every ingredient must be in the ledger, whole, and one person's."""
    ledger = Ledger(home.objects)
    people = set()
    for role, artifact in recipe.inputs.items():
        found = find(ledger, artifact)
        if found is None:
            do = "import where the bundle was exported"
            raise RequestError(f"its ingredient {artifact} ({role}) is not in this home", where=file, do=do)
        check_whole(home, found)
        people.add(found.identity)
    if len(people) != 1 or None in people:
        raise RequestError("its ingredients are not one person's", where=file, do="export a bundle again")
    return str(people.pop())
