"""Pictures of a person that a method is shown before it draws: whole canvases, the mouth as it was filmed.

Which frames they are follows from the features alone. Those of the template itself are liked best, since
light and beard are then the same; what a comparison is to judge is never shown. Called by
`tasks.dubbing.casting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.canvas import places, sample
from models.canvas.framing import Framing
from models.canvas.referees import chosen
from models.canvas.still import Plate
from models.morphable.builtin import builtin
from models.morphable.mouth_shape import opening_of_keys
from storage.errors import MediaError
from storage.home import Home
from storage.media import VideoReader
from tasks._stills import plates_of, standing_of
from tasks.extract import video_of
from tasks.material import Material

__all__ = ["Showing", "behind", "references"]

# Fewer frames than these show hardly a mouth or two.
_FEW = 25


class Showing(NamedTuple):
    """What is asked for: so many canvases of such a side and framing, none of the frames `without`."""

    frames: int
    side: int
    framing: Framing
    without: tuple[int, int] | None = None  # frames of the template


def references(home: Home, materials: Sequence[Material], template: Material, asked: Showing) -> torch.Tensor:
    """(R, S, S, 3) uint8; the same features give the same frames."""
    for one in (template, *(other for other in materials if other.clip.id != template.clip.id)):
        free = one.seen.copy()
        if asked.without is not None and one is template:
            free[slice(*asked.without)] = False
        if free.sum() >= _FEW or (len(materials) == 1 and free.any()):
            return _canvases(home, one, free, asked)
    what = "no frame is left that shows the face"
    raise MediaError(what, where=template.clip.id, do="ingest more footage of this person")


def behind(
    home: Home,
    template: Material,
    identity: torch.Tensor,
    side: int,
    within: tuple[int, int],
    without: tuple[int, int] | None,
) -> dict[int, Plate]:
    """By shot that is walked over, what lies behind the head on canvases that stand still.

    Never a pixel of the head itself, nor of the frames `without`.
    """
    standing = standing_of(template, identity, side, within)
    free = np.ones(len(template.seen), np.bool_)
    if without is not None:
        free[slice(*without)] = False
    with video_of(home, template.clip) as video:
        return plates_of(template, standing, VideoReader(video), free)


def _canvases(home: Home, one: Material, free: NDArray[np.bool_], asked: Showing) -> torch.Tensor:
    fit = {name: torch.from_numpy(one.fit(name)) for name in ("rotation", "translation", "camera")}
    identity = one.fit("identity")[one.seen].mean(0)
    keys = builtin().mouth_vertices(identity, np.nan_to_num(one.fit("expression")))
    opening = opening_of_keys(torch.from_numpy(keys)).numpy().astype(np.float64)
    sharp = np.nan_to_num(one.group.read("track/sharpness"))
    rows = np.flatnonzero(free)
    picked = rows[chosen(opening[rows], sharp[rows], one.fit("rotation")[rows], asked.frames)]
    pose = (fit["rotation"], fit["translation"], fit["camera"])
    shot, seen = torch.from_numpy(one.shot), torch.from_numpy(one.seen)
    lain = places(torch.from_numpy(identity), *pose, shot, seen, one.rate, asked.side, asked.framing)
    with video_of(home, one.clip) as video:
        reader = VideoReader(video)
        pictures = [next(iter(reader.read(int(row), int(row) + 1))) for row in picked]
    shown = torch.from_numpy(np.stack(pictures))
    return sample(shown, lain[torch.from_numpy(picked)], asked.side)
