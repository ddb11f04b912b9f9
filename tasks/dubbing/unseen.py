"""A person's clips as a comparison wants them: what it is to judge is not there.

What is told of a mouth from tracked frames, its rest and its averages, would otherwise know the very frames
that a method is to draw. Pose, shape and light may be known of all frames. Called by `tasks.dubbing.casting`
and `tasks.dubbing.stage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from storage.errors import MediaError
from tasks.material import Material

__all__ = ["told_mouths"]


@dataclass(frozen=True, eq=False)
class _Part(Material):
    """A clip with frames on which nobody is seen, whatever was tracked there."""

    without: tuple[int, int] = (0, 0)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        seen = Material(self.clip, self.features, self.group).seen.copy()
        seen[slice(*self.without)] = False
        return seen


def told_mouths(
    materials: Sequence[Material], template: Material, without: tuple[int, int] | None
) -> list[Material]:
    """The clips that tell of a mouth, the template first: without those frames of it, or it altogether."""
    hidden = without or (0, 0)
    own = _Part(template.clip, template.features, template.group, hidden)
    others = [one for one in materials if one.clip.id != template.clip.id]
    left = [one for one in (own, *others) if one.seen.any()]
    if not left:
        what = "no frame is left that shows the face"
        raise MediaError(what, where=template.clip.id, do="ingest more footage of this person")
    return left
