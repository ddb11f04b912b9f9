"""The two small files that say what a folder is: a draft's note, and a published group's own `zarr.json`.

Private to `clips`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from storage.clips.places import Place

__all__ = ["MARK", "note_key", "read_mark", "write_group"]

MARK = "memdub"


def note_key(group: str) -> str:
    """Where a draft says what it is a draft of."""
    return f".draft-{group or 'clip'}.json"


def read_mark(place: Place, group: str) -> dict[str, Any] | None:
    """The attributes of a published group, or None where nothing is published."""
    found = place.read(f"{group}/zarr.json" if group else "zarr.json")
    attrs: dict[str, Any] = json.loads(found).get("attributes", {}) if found else {}
    return attrs if MARK in attrs else None


def write_group(place: Place, group: str, attrs: Mapping[str, Any]) -> None:
    """Write a group's metadata: from here on readers see it."""
    document = {"zarr_format": 3, "node_type": "group", "attributes": dict(attrs)}
    place.write(f"{group}/zarr.json" if group else "zarr.json", json.dumps(document, indent=2).encode())
