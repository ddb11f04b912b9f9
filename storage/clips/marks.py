"""The two small files that say what a folder is: a draft's note, and a published group's own `zarr.json`.

Private to `clips`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from storage.clips.places import Place

__all__ = ["MARK", "content_of", "note_key", "read_mark", "write_group"]

MARK = "memdub"


def content_of(digests: Mapping[str, str]) -> str:
    """The content hash of a group with arrays of these digests."""
    told = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(told.encode()).hexdigest()


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
