"""The flow `export`: a clip's features in the files of other people's tools.

Called by the command line. What is written remembers where it came from: before it is visible, the ledger
keeps its content, and that of every file of a folder, so that `memdub lineage FILE` answers. The row in
`runs` says when, where to, and with which digest: a folder's is that of its files' names, sizes and hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from storage import clips, consent
from storage.artifacts import check_whole, find
from storage.errors import CorruptArtifact, RequestError
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
    content: str

    def as_dict(self) -> dict[str, Any]:
        told = {"path": str(self.path), "format": self.form, "clip": self.clip, "features": self.features}
        return {"exports": [{**told, "content": self.content}]}


def export(
    what: str,
    form: str,
    dest: str | Path,
    *,
    layout: str | None = None,
    spaced: bool = False,
    home: str | None = None,
) -> Exported:
    """Write the features of `what` (a clip's or features' id, or how it begins) to `dest`."""
    _check_request(what, form, layout, spaced)
    place, dest = Home(home), Path(dest)
    ledger = Ledger(place.objects)
    features = _features_of(ledger, what)
    recipe = json.loads(features["recipe"])
    clip, identity = str(recipe["inputs"]["clip"]), str(features["identity"])
    consent.require(place, identity, "ingest")
    told = {"what": what, "to": form, "dest": str(dest.absolute()), "layout": layout, "spaced": spaced}
    with run(ledger, "export", identity=identity, arguments=told) as this:
        this.reused.append(features["id"])
        group = _whole(place, ledger, features)

        def seal(part: Path) -> None:
            this.made.append(_remember(ledger, features, part, form))

        try:
            if form == "openface":
                _openface(ledger, group, clip, dest, layout or "full", spaced, seal)
            else:
                _deng(ledger, group, recipe, dest, seal)
        except BaseException:
            this.made.clear()
            raise
    return Exported(dest, form, clip, features["id"], this.made[0])


def _check_request(what: str, form: str, layout: str | None, spaced: bool) -> None:
    if not what.strip():
        do = 'name a clip; see: memdub query "select id, identity from clips"'
        raise RequestError("no name was given", where="CLIP", do=do)
    for given, choices, option in ((form, FORMATS, "--to"), (layout, LAYOUTS, "--layout")):
        if given is not None and given not in choices:
            do = f"use one of {', '.join(choices)}"
            raise RequestError("no such choice", where=f"{option} {given}", do=do)
    for option, used in (("--layout", layout is not None), ("--spaced", spaced)):
        if used and form != "openface":
            raise RequestError(f"means nothing to {form}", where=option, do="leave it out, or --to openface")


def _whole(place: Home, ledger: Ledger, features: dict[str, Any]) -> clips.ClipGroup:
    """The features, every byte of which is what was committed."""
    artifact = find(ledger, features["id"], features["identity"])
    if artifact is None:
        raise CorruptArtifact("its row is gone", where=features["id"], do="run `memdub extract` again")
    try:
        check_whole(place, artifact, read_all=True)
    except CorruptArtifact as error:
        # `extract` alone looks at sizes, and would take what was altered for what it made.
        do = f"remove {place.uri(artifact.uri)} and run `memdub extract {artifact.identity}` again"
        raise CorruptArtifact(error.what, where=error.where, do=do) from error
    return clips.open_clip(place.uri(f"{features['uri']}/features.zarr"))


def _openface(
    ledger: Ledger,
    group: clips.ClipGroup,
    clip: str,
    dest: Path,
    layout: str,
    spaced: bool,
    seal: Callable[[Path], None],
) -> None:
    from tasks.export import Layout, export_openface

    row = next((r for r in ledger.rows("clips").to_pylist() if r["id"] == clip), None)
    if row is None:
        raise RequestError("its clip is no longer here", where=clip, do="ingest the footage again")
    size = (row["width_px"], row["height_px"])
    export_openface(group, dest, size=size, layout=cast(Layout, layout), spaced=spaced, seal=seal)


def _deng(
    ledger: Ledger,
    group: clips.ClipGroup,
    recipe: dict[str, Any],
    dest: Path,
    seal: Callable[[Path], None],
) -> None:
    from tasks.export import export_deng

    fit = ledger.find(str(recipe["inputs"]["fit"]))
    model = json.loads(fit["recipe"])["parameters"].get("model", "") if fit else ""
    export_deng(group, dest, model=str(model), seal=seal)


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


def _remember(ledger: Ledger, features: dict[str, Any], part: Path, form: str) -> str:
    """Writes the lineage of a file, or of a folder and all its files; returns the digest of the whole."""
    files = sorted(part.iterdir()) if part.is_dir() else [part]
    hashes = {path.name: hash_file(path) for path in files}
    whole = f"sha256:{hashes[part.name] if part.is_file() else _of_folder(files, hashes)}"
    edges = [
        {"child": child, "parent": features["id"], "role": f"exported for {form}", "parent_name": None}
        for child in sorted({whole, *(f"sha256:{told}" for told in hashes.values())})
    ]
    rows = pa.Table.from_pylist(edges, schema=TABLES["lineage"].schema)
    ledger.tables["lineage"].write(f"slug={features['identity']}", rows)
    return whole


def _of_folder(files: list[Path], hashes: dict[str, str]) -> str:
    """As artifacts have it: the hash of a list of all files."""
    entries = {path.name: [path.stat().st_size, hashes[path.name]] for path in files}
    return hashlib.sha256(json.dumps(entries, sort_keys=True, indent=0).encode()).hexdigest()
