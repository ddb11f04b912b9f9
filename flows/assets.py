"""Prefect's view of our lineage: artifacts as assets, with what they were made of.

The ledger is the record; this is a picture of it, as events that Prefect Cloud draws as a graph and that an
open-source server keeps for some days. Called by `flows.engine` inside Prefect task runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from storage.artifacts import Artifact
from storage.home import Home

if TYPE_CHECKING:
    from prefect.assets import Asset

__all__ = ["key_of", "note"]

_PLAIN = re.compile(r"[^A-Za-z0-9._~:/@+=,-]")


def key_of(home: Home, uri: str) -> str:
    """The key of what lies at `uri` in the home: its address, without what Prefect does not allow."""
    where = home.uri(uri)
    return _PLAIN.sub("_", where if "://" in where else f"file://{where}")[:512]


def note(result: Any, given: Iterable[Any]) -> None:
    """Tells Prefect what the surrounding task run made, or found made already."""
    home = _home_of(given)
    if home is None or not isinstance(result, Artifact):
        return
    from prefect.context import AssetContext

    context = AssetContext.get()
    if context is None:
        return
    asset = _asset(home, result)
    if result.reused:
        _referenced(asset)
        return
    context.downstream_assets.add(asset)
    context.direct_asset_dependencies.update(_parents(home, result))
    context.materialized_by = f"memdub {result.row['stage']} v{result.row['stage_version']}"
    told = {name: result.row[name] for name in ("bytes", "seconds", "content_hash", "host")}
    context.materialization_metadata[asset.key] = {"id": result.id, "identity": result.identity, **told}


def _home_of(given: Iterable[Any]) -> Home | None:
    for one in given:
        if isinstance(one, Home):
            return one
        if isinstance(held := getattr(one, "home", None), Home):
            return held
    return None


def _asset(home: Home, made: Artifact) -> Asset:
    from prefect.assets import Asset, AssetProperties

    what = f"{made.kind} of {made.identity}" if made.identity else made.kind
    told = AssetProperties(name=made.id, description=what, url=home.uri(made.uri))
    return Asset(key=key_of(home, made.uri), properties=told)


def _parents(home: Home, made: Artifact) -> Iterator[Asset]:
    from prefect.assets import Asset

    recipe = json.loads(made.row["recipe"])
    for one in recipe["inputs"].values():
        yield Asset(key=key_of(home, f"stores/{one.rpartition('-')[0]}/{one}"))
    for _role, sha256 in recipe["raw"]:
        yield Asset(key=f"sha256://{sha256}")


def _referenced(asset: Asset) -> None:
    """Prefect says nothing of a cached result; we do, as the ledger does."""
    from prefect.context import AssetContext
    from prefect.events import emit_event

    emit_event("prefect.asset.referenced", resource=AssetContext.asset_as_resource(asset))
