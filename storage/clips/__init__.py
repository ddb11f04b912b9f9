"""Clips as Zarr groups: many processes write one, anyone reads it with xarray.

Called by `tasks`, and by `flows` to read. Format 3, no consolidated metadata; a shard is the unit of writing.
"""

from storage.clips import ending as _ending  # noqa: F401 (it hooks itself in)
from storage.clips.catalogue import STANDARD, SYMBOLS, standard
from storage.clips.drafts import create, discard, open_clip
from storage.clips.group import ClipGroup
from storage.clips.regions import Region
from storage.clips.specs import ArraySpec

__all__ = [
    "STANDARD",
    "SYMBOLS",
    "ArraySpec",
    "ClipGroup",
    "Region",
    "create",
    "discard",
    "open_clip",
    "standard",
]
