"""Which clip of a person is dubbed over, from which frame on, and why.

    chosen = choose(materials, frames_wanted, yaw_limit)      # or `named(materials, "clip-3af", ...)`

The same clips give the same choice. Called by `tasks.dubbing.stage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from models.methods import Fit, Template
from storage.errors import MediaError, RequestError
from tasks.dubbing.walk import Looks, Stretch, stretches
from tasks.material import Material

__all__ = ["Chosen", "choose", "looks_of", "named"]

F32 = NDArray[np.float32]
# Speech lasts; a template of more than this is long enough for any.
_LONG_S = 10.0
_SEVERAL = 0.6  # what a clip is worth in which more than one face was seen


@dataclass(frozen=True, eq=False)
class Chosen:
    """A template: which frames of it are walked over, and the reason in words."""

    material: Material
    looks: Looks
    within: Stretch
    why: str

    @property
    def rate(self) -> float:
        return self.material.rate

    @cached_property
    def fit(self) -> Fit:
        """Rows of the whole clip."""
        names = ("rotation", "translation", "camera", "light", "expression")
        return Fit(*(torch.from_numpy(self.material.fit(name)) for name in names))

    def template(self, height: int, width: int) -> Template:
        """What a speaker meets."""
        shot, seen = (torch.from_numpy(np.ascontiguousarray(a)) for a in (self.looks.shot, self.looks.seen))
        return Template(self.fit, shot, seen, height, width, self.rate)


def looks_of(material: Material) -> Looks:
    """What the features say of each frame."""
    rotation, translation = material.fit("rotation"), material.fit("translation")
    sharpness = np.nan_to_num(material.group.read("track/sharpness")).astype(np.float32)
    return Looks(rotation, translation, sharpness, material.shot, material.seen)


def choose(materials: Sequence[Material], seconds: float, yaw_limit: float) -> Chosen:
    """The best clip and its best stretch: long enough, sharp, frontal, one person; ties go to the first."""
    scored: list[tuple[float, Chosen]] = []
    for material in sorted(materials, key=lambda one: one.clip.id):
        looks = looks_of(material)
        best = _best(looks, material.rate, seconds, yaw_limit)
        if best is None:
            continue
        alone = int(material.group.attrs.get("faces_at_once", 1)) <= 1
        score = best[0] * (1.0 if alone else _SEVERAL)
        why = _why(looks, best[1], material.rate, len(materials), alone)
        scored.append((score, Chosen(material, looks, best[1], why)))
    if not scored:
        where = materials[0].clip.identity
        raise MediaError("no clip shows a face from the front", where=where, do="ingest other footage")
    return max(scored, key=lambda pair: pair[0])[1]


def named(materials: Sequence[Material], clip: str) -> Chosen:
    """The clip that a user names, by its id or how it begins: all of it, from its first frame on."""
    whole = clip if clip.startswith("clip-") else f"clip-{clip}"
    found = [one for one in materials if one.clip.id.startswith(whole)]
    if len(found) != 1:
        what = "no clip of this person" if not found else f"{len(found)} clips begin so"
        do = 'see: memdub query "select id, identity from clips"'
        raise RequestError(what, where=f"--template {clip}", do=do)
    looks = looks_of(found[0])
    if not looks.seen.any():
        raise MediaError("no face in any frame", where=found[0].clip.id, do="choose another template")
    return Chosen(found[0], looks, Stretch(0, len(looks.seen)), "as asked")


def _best(looks: Looks, rate: float, seconds: float, yaw_limit: float) -> tuple[float, Stretch] | None:
    usable = np.abs(np.nan_to_num(looks.rotation[:, 1], nan=np.inf)) < yaw_limit
    found = [(_score(looks, one, rate, seconds), one) for one in stretches(looks, usable)]
    return max(found, key=lambda pair: pair[0]) if found else None


def _score(looks: Looks, one: Stretch, rate: float, seconds: float) -> float:
    rows = slice(one.start, one.stop)
    sharp = float(np.median(looks.sharpness[rows]))
    frontal = float(np.cos(looks.rotation[rows, :2]).prod(1).mean())
    wanted = max(min(seconds, _LONG_S), 1.0)
    return sharp * frontal * min(len(one) / rate / wanted, 1.0)


def _why(looks: Looks, one: Stretch, rate: float, clips: int, alone: bool) -> str:
    rows = slice(one.start, one.stop)
    turned = np.degrees(np.abs(looks.rotation[rows, 1]))
    who = "one person" if alone else "several people"
    best = "the only clip" if clips == 1 else f"the best of {clips} clips"
    return (
        f"{best}: {len(one) / rate:.1f} s in one shot, {who}, turned by {np.median(turned):.0f} degrees, "
        f"sharpness {np.median(looks.sharpness[rows]):.2f}"
    )
