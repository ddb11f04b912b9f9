"""Who heard what: features, weights and driving speech must have been heard by one and the same network.

Another network's 29 numbers a row have the same shape and mean something else: a mouth that was trained over
the ones would move to the others, and wrongly. Called by `flows.train` and `flows.dub`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.methods import Stage
from storage.artifacts import Artifact, find
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.weights import Registry, open_safetensors
from tasks.remember import Source

__all__ = ["Ear", "ear_of", "ear_of_checkpoint", "heard_alike", "hears", "wanted_ear"]

_USUAL = "embedded"
_NAME = "speech"
_HEARD = {"speech", "sound", "symbols", "symbols30"}  # arrays that hold what a network heard


@dataclass(frozen=True)
class Ear:
    """A network that hears speech: its backend, and its weights' SHA-256 where that is known."""

    name: str = _USUAL
    sha256: str = ""

    def fits(self, other: Ear) -> bool:
        """Whether rows of the one may stand for rows of the other."""
        known = bool(self.sha256 and other.sha256)
        return self.name == other.name and (not known or self.sha256 == other.sha256)


def hears(stage: Stage) -> bool:
    """Whether a stage is trained over what is heard."""
    return not _HEARD.isdisjoint(stage.arrays)


def wanted_ear(home: Home, stages: Sequence[Stage]) -> Ear | None:
    """The ear of the weights that the stages begin with or learn from; None where any will do."""
    for stage in filter(hears, stages):
        for name in filter(None, (stage.general, *stage.teachers)):
            told = open_safetensors(Registry(home.url).find(name).path).metadata
            return Ear(told.get(_NAME, _USUAL))
    return None


def ear_of(ledger: Ledger, features: Artifact) -> Ear:
    """Who heard a clip, as the recipe of its sound features says."""
    named = json.loads(features.row["recipe"])["inputs"].get("audio")
    audio = None if named is None else find(ledger, named, features.identity)
    told: dict[str, Any] = {} if audio is None else json.loads(audio.row["recipe"])["parameters"]
    return Ear(told.get("speech", _USUAL), told.get("sha256") or "")


def ear_of_checkpoint(ledger: Ledger, checkpoint: Artifact) -> Ear | None:
    """Who heard what it was trained over; None where that is no longer known."""
    inputs = json.loads(checkpoint.row["recipe"])["inputs"]
    for role, named in sorted(inputs.items()):
        features = find(ledger, named, checkpoint.identity) if role.startswith("features") else None
        if features is not None:
            return ear_of(ledger, features)
    return None


def heard_alike(ledger: Ledger, identity: str, sources: Sequence[Source], wanted: Ear | None) -> list[Source]:
    """The clips with the newest features that the wanted ear has heard; RequestError where one has none.

    Where any ear will do, all clips must have been heard by one.
    """
    ears = {one.features.id: ear_of(ledger, one.features) for one in sources}
    if wanted is None:
        names = sorted({ear.name for ear in ears.values()})
        if len(names) > 1:
            what = f"some clips were heard by {names[0]} and some by {names[1]}"
            do = f"run `memdub extract {identity} --speech {names[0]}`, or the same with {names[1]}"
            raise RequestError(what, where=identity, do=do)
        return list(sources)
    found = []
    for one in sources:
        fitting = one.features
        if not wanted.fits(ears[one.features.id]):
            fitting = _other(ledger, one, wanted, ears[one.features.id])
        found.append(Source(one.clip, fitting))
    return found


def _other(ledger: Ledger, source: Source, wanted: Ear, has: Ear) -> Artifact:
    rows = ledger.rows("artifacts").to_pylist()
    for row in sorted(rows, key=lambda row: row["started"], reverse=True):
        if row["kind"] != "features" or json.loads(row["recipe"])["inputs"].get("clip") != source.clip.id:
            continue
        one = find(ledger, row["id"], source.clip.identity)
        if one is not None and wanted.fits(ear_of(ledger, one)):
            return one
    what = f"its speech was heard by {has.name}, and the general weights know what {wanted.name} hears"
    do = f"run `memdub extract {source.clip.identity} --speech {wanted.name}`"
    raise RequestError(what, where=source.clip.id, do=do)
