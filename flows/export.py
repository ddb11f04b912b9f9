"""The flow `export`: a clip's features in the files of other people's tools.

Called by the command line. What is written remembers where it came from: the ledger keeps its content, so
that `memdub lineage FILE` answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage import clips, consent
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.ledger.query import resolve
from storage.ledger.schemas import TABLES
from storage.recipes import hash_file
from storage.runs import run

__all__ = ["FORMATS", "LAYOUTS", "Exported", "export"]

FORMATS = ("openface", "deng")
LAYOUTS = ("full", "2d")


@dataclass(frozen=True)
class Exported:
    """One export, and what it was made of."""

    path: Path
    form: str
    clip: str
    features: str

    def as_dict(self) -> dict[str, Any]:
        told = {"path": str(self.path), "format": self.form, "clip": self.clip, "features": self.features}
        return {"exports": [told]}


def export(
    what: str,
    form: str,
    dest: str | Path,
    *,
    layout: str = "full",
    spaced: bool = False,
    home: str | None = None,
) -> Exported:
    """Write the features of `what` (a clip's or features' id, or how it begins) to `dest`."""
    _check_request(form, layout)
    place, dest = Home(home), Path(dest)
    ledger = Ledger(place.objects)
    features = _features_of(ledger, what)
    recipe = json.loads(features["recipe"])
    clip, identity = str(recipe["inputs"]["clip"]), str(features["identity"])
    consent.require(place, identity, "ingest")
    told = {"what": what, "to": form, "dest": str(dest), "layout": layout}
    with run(ledger, "export", identity=identity, arguments=told) as this:
        this.reused.append(features["id"])
        group = clips.open_clip(place.uri(f"{features['uri']}/features.zarr"))
        if form == "openface":
            _openface(ledger, group, clip, dest, layout, spaced)
        else:
            _deng(ledger, group, recipe, dest)
        if dest.is_file():
            _remember(ledger, features, dest, form)
    return Exported(dest, form, clip, features["id"])


def _check_request(form: str, layout: str) -> None:
    for given, choices, option in ((form, FORMATS, "--to"), (layout, LAYOUTS, "--layout")):
        if given not in choices:
            do = f"use one of {', '.join(choices)}"
            raise RequestError("no such choice", where=f"{option} {given}", do=do)


def _openface(
    ledger: Ledger, group: clips.ClipGroup, clip: str, dest: Path, layout: Any, spaced: bool
) -> None:
    from tasks.export import export_openface

    row = next((r for r in ledger.rows("clips").to_pylist() if r["id"] == clip), None)
    if row is None:
        raise RequestError("its clip is no longer here", where=clip, do="ingest the footage again")
    export_openface(group, dest, size=(row["width_px"], row["height_px"]), layout=layout, spaced=spaced)


def _deng(ledger: Ledger, group: clips.ClipGroup, recipe: dict[str, Any], dest: Path) -> None:
    from tasks.export import export_deng

    fit = ledger.find(str(recipe["inputs"]["fit"]))
    model = json.loads(fit["recipe"])["parameters"].get("model", "") if fit else ""
    export_deng(group, dest, model=str(model))


def _features_of(ledger: Ledger, what: str) -> dict[str, Any]:
    """The features that are meant: the newest of a clip, or those with this id."""
    named = resolve(ledger, what if what.startswith(("clip-", "features-")) else _with_kind(ledger, what))
    rows = ledger.rows("artifacts").to_pylist()
    kind = named.split("-")[0]
    if kind == "features":
        return next(row for row in rows if row["id"] == named)
    if kind != "clip":
        raise RequestError(f"is a {kind}, neither a clip nor features", where=named, do="name a clip")
    made = [r for r in rows if r["kind"] == "features" and json.loads(r["recipe"])["inputs"]["clip"] == named]
    if not made:
        raise RequestError("nothing was extracted from this clip", where=named, do="`memdub extract` first")
    return max(made, key=lambda row: row["started"])


def _with_kind(ledger: Ledger, what: str) -> str:
    """`3af` means the clip-3af... that there is."""
    ids = ledger.rows("artifacts", ["id"])["id"].to_pylist()
    return f"clip-{what}" if what and any(i.startswith(f"clip-{what}") for i in ids) else what


def _remember(ledger: Ledger, features: dict[str, Any], dest: Path, form: str) -> None:
    edge = {
        "child": f"sha256:{hash_file(dest)}",
        "parent": features["id"],
        "role": f"exported for {form}",
        "parent_name": None,
    }
    rows = pa.Table.from_pylist([edge], schema=TABLES["lineage"].schema)
    ledger.tables["lineage"].write(f"slug={features['identity']}", rows)
