"""The life of a clip: a draft that many processes write, published once, then only read.

    draft = create("stores/x.zarr", standard([...], frames=n, fps=25), {"identity": "obama"}, token=recipe)
    for region in draft.regions("video/crop", "track/landmarks"):   # any process may take any region
        draft.write("video/crop", region.start, crops)
    clip = draft.finish()                                           # checked, then visible, in one step

A draft lies beside its final place, and `finish` renames it; `missing` says what a killed run left to do.
An object store cannot rename: there the draft lies in its final place, and the group's own `zarr.json`,
which is what makes readers see a group, is written last. A later stage adds its subgroup to a published
clip in the same way (`group="track"`). What is published is never changed.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from storage.clips.arrays import new_array, open_array
from storage.clips.group import ClipGroup
from storage.clips.marks import MARK, note_key, read_mark
from storage.clips.places import Place
from storage.clips.specs import ArraySpec, check_specs
from storage.errors import RequestError

__all__ = ["create", "discard", "open_clip"]

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,80}")


def create(
    url: str | os.PathLike[str],
    specs: Sequence[ArraySpec],
    attrs: Mapping[str, Any],
    *,
    group: str = "",
    token: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> ClipGroup:
    """A draft of a new clip at `url`, or with `group` of a new subgroup of the clip published there.

    The same `token` (say, the recipe's id) finds an unfinished draft again, so that a killed run goes
    on; without one the draft is new. All arrays exist from here on; only coordinates are filled in.
    """
    check_specs(specs, group)
    final = Place.of(url, storage_options)
    _check_room(final, group)
    token = _checked(token or uuid.uuid4().hex)
    described = [spec.describe() for spec in specs]
    told = {"name": final.name, "group": group, "token": token, "attrs": dict(attrs), "specs": described}
    place = _draft_place(final, group, token)
    found = place.read(note_key(group))
    if found is None:
        _begin(place, group, told)
    elif json.loads(found) != json.loads(json.dumps(told)):
        raise RequestError(
            "an unfinished draft of something else is in the way", where=place.url, do="`discard` it first"
        )
    _ensure_arrays(place, specs)
    return _draft(place, told)


def open_clip(
    url: str | os.PathLike[str],
    mode: Literal["r", "r+"] = "r",
    *,
    group: str = "",
    storage_options: Mapping[str, Any] | None = None,
) -> ClipGroup:
    """A published clip or subgroup to read, or with "r+" the draft at `ClipGroup.url` to write."""
    place = Place.of(url, storage_options)
    if mode == "r+":
        note = place.read(note_key(group))
        if note is None:
            raise RequestError("no unfinished clip is here", where=place.url, do="`create` one")
        return _draft(place, json.loads(note))
    mark = read_mark(place, group)
    if mark is None:
        raise RequestError("no published clip is here", where=f"{place.url}/{group}".rstrip("/"))
    own = tuple(mark[MARK]["arrays"])
    attrs = {key: value for key, value in mark.items() if key != MARK}
    digests = dict(mark[MARK]["arrays"]) if group else _all_digests(place, mark)
    return ClipGroup(place, place, group, attrs, own, tuple(digests), False, digests=digests)


def discard(draft: ClipGroup) -> None:
    """Throw an unfinished draft away."""
    if not draft.writable:
        raise RequestError("a published clip is not a draft", where=draft.url)
    if draft.place.url != draft.final.url:
        draft.place.remove()
        return
    for name in draft.own:
        draft.place.at(name).remove()
    draft.place.delete(note_key(draft.group))


def _all_digests(place: Place, mark: Mapping[str, Any]) -> dict[str, str]:
    """Of the clip's own arrays and of those that joined it later."""
    keys = sorted(key for key in place.files() if key.count("/") == 1 and key.endswith("/zarr.json"))
    marks = (read_mark(place, key.split("/")[0]) for key in keys)
    later = [found[MARK]["arrays"] for found in marks if found]
    return {name: digest for arrays in (mark[MARK]["arrays"], *later) for name, digest in arrays.items()}


def _checked(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise RequestError("a draft's token is letters, digits, '-' and '_'", where=token)
    return token


def _draft_place(final: Place, group: str, token: str) -> Place:
    if final.local is None:
        return final
    # Outside the clip's folder: readers that list it must not meet half a group.
    return final.beside("-".join(filter(None, (f".tmp-{token}", final.name, group))))


def _check_room(final: Place, group: str) -> None:
    if read_mark(final, group) is not None:
        raise RequestError("this is published already", where=f"{final.url}/{group}".rstrip("/"))
    if group and read_mark(final, "") is None:
        raise RequestError("no published clip to add a group to", where=final.url)


def _begin(place: Place, group: str, told: dict[str, Any]) -> None:
    if (place.at(group) if group else place).files():
        if place.local is None or not place.name.startswith(".tmp-"):
            raise RequestError("something half-made is here", where=place.url, do="remove it first")
        place.remove()
    place.write(note_key(group), json.dumps(told).encode())


def _ensure_arrays(place: Place, specs: Sequence[ArraySpec]) -> None:
    files = place.files()
    for spec in specs:
        if f"{spec.name}/zarr.json" not in files:
            new_array(place.at(spec.name), spec)
        if spec.values is not None and f"{spec.name}/c/0" not in files:
            open_array(place.at(spec.name), read_only=False)[:] = spec.values


def _draft(place: Place, told: dict[str, Any]) -> ClipGroup:
    names = tuple(spec["name"] for spec in told["specs"])
    final = place if place.local is None else place.beside(told["name"])
    return ClipGroup(place, final, told["group"], told["attrs"], names, names, True, told["token"])
