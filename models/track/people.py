"""Who is who: faces in slots, frame by frame, become people, and one of them is chosen.

Slots say nothing: a face may change its slot where a block ends. Faces are followed by place and size within
a shot, joined over short gaps, and told apart across shots by the shape of their bones. Shape legend: T
frames, F slots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHOICES", "Sighting", "Trail", "choose", "jumps", "people", "trails"]

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

CHOICES = ("auto", "largest", "left", "right")
# In eye distances: how far a face goes between two frames, and how far before it counts as a cut.
_STEP, _GROW = 0.6, 1.5
_JUMP = 0.28
_LONGEST_GAP_S = 1.5
_SPEAKS = 1.6  # times the others' mouth motion


class Sighting(NamedTuple):
    """What telling people apart needs of every face of every frame; NaN where a slot is empty."""

    centre: F32  # (T, F, 2) px
    size: F32  # (T, F) px between the eyes' outer corners
    gap: F32  # (T, F) between the lips, over the size

    @property
    def there(self) -> Bools:
        return np.isfinite(self.size)


@dataclass
class Trail:
    """One face through one shot."""

    shot: int
    frames: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    person: int = -1


def jumps(seen: Sighting) -> Bools:
    """Frames in which some face is not where any was in the frame before, or one is gone, or come."""
    found = np.zeros(len(seen.size), bool)
    there = seen.there
    found[1:] = there[1:].sum(1) != there[:-1].sum(1)
    gaps = np.linalg.norm(seen.centre[1:, :, None] - seen.centre[:-1, None], axis=3)
    ratio = np.abs(np.log(seen.size[1:, :, None] / seen.size[:-1, None]))
    off = np.fmax(gaps / seen.size[1:, :, None], ratio)
    nearest = np.where(np.isfinite(off), off, np.inf).min(2)
    found[1:] |= ((nearest > _JUMP) & there[1:]).any(1)
    return found


def trails(seen: Sighting, shot: NDArray[np.int32], rate: float) -> list[Trail]:
    """Faces followed within each shot, over gaps of up to a second and a half."""
    done: list[Trail] = []
    live: list[Trail] = []
    there, longest = seen.there, round(_LONGEST_GAP_S * rate)
    for at in np.flatnonzero(there.any(1)).tolist():
        goes_on = [t.shot == shot[at] and at - t.frames[-1] <= longest for t in live]
        done += [t for t, on in zip(live, goes_on, strict=True) if not on]
        live = [t for t, on in zip(live, goes_on, strict=True) if on]
        taken: set[int] = set()
        pairs = sorted(
            (_off(seen, trail, at, slot), k, slot)
            for k, trail in enumerate(live)
            for slot in np.flatnonzero(there[at]).tolist()
        )
        used: set[int] = set()
        for off, k, slot in pairs:
            if off < 1.0 and k not in used and slot not in taken:
                used.add(k)
                taken.add(slot)
                live[k].frames.append(at)
                live[k].slots.append(slot)
        for slot in np.flatnonzero(there[at]).tolist():
            if slot not in taken:
                live.append(Trail(int(shot[at]), [at], [slot]))
    return sorted(done + live, key=lambda t: (t.frames[0], t.slots[0]))


def _off(seen: Sighting, trail: Trail, at: int, slot: int) -> float:
    """How unlikely it is that this face goes on there; from 1 on it does not."""
    last, before = trail.frames[-1], trail.slots[-1]
    size = float(seen.size[last, before])
    far = float(np.linalg.norm(seen.centre[at, slot] - seen.centre[last, before])) / size
    grown = abs(float(np.log(seen.size[at, slot] / size)))
    patience = 1 + 0.15 * (at - last - 1)
    return max(far / _STEP, grown / np.log(_GROW)) / min(patience, 2.0)


def people(found: list[Trail], shapes: F32, same: float) -> int:
    """Number trails by person, those seen longest first; returns how many people there are.

    `shapes` (trails, D) are mm; two trails in one frame are never one person.
    """
    order = sorted(range(len(found)), key=lambda k: -len(found[k].frames))
    members: list[list[int]] = []
    for k in order:
        near = [(_apart(shapes, k, group), g) for g, group in enumerate(members)]
        near = [(d, g) for d, g in near if d < same and not _together(found, k, members[g])]
        if near:
            members[min(near)[1]].append(k)
        else:
            members.append([k])
    members.sort(key=lambda group: -sum(len(found[k].frames) for k in group))
    for number, group in enumerate(members):
        for k in group:
            found[k].person = number
    return len(members)


def _apart(shapes: F32, k: int, group: list[int]) -> float:
    return float(np.sqrt(((shapes[group].mean(0) - shapes[k]) ** 2).mean()))


def _together(found: list[Trail], k: int, group: list[int]) -> bool:
    mine = found[k]
    return any(found[o].shot == mine.shot and set(found[o].frames) & set(mine.frames) for o in group)


def choose(found: list[Trail], seen: Sighting, face: str, count: int) -> int:
    """The person that is meant: a number, a side, the largest, or (auto) who speaks, else the largest."""
    if face.isdigit():
        return int(face)
    scores = np.array([_score(found, seen, face, person) for person in range(count)])
    if face == "auto" and count > 1:
        moved = np.array([_mouth(found, seen, person) for person in range(count)])
        first, second = np.argsort(-moved)[:2]
        if moved[first] > _SPEAKS * moved[second]:
            return int(first)
    return int(np.argmax(scores))


def _rows(found: list[Trail], person: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    mine = [t for t in found if t.person == person]
    frames = np.concatenate([t.frames for t in mine]).astype(np.int64)
    return frames, np.concatenate([t.slots for t in mine]).astype(np.int64)


def _score(found: list[Trail], seen: Sighting, face: str, person: int) -> float:
    frames, slots = _rows(found, person)
    if face in ("left", "right"):
        x = float(np.median(seen.centre[frames, slots, 0]))
        return -x if face == "left" else x
    # Seen for long and large: a face that passes by once is not meant.
    return float(seen.size[frames, slots].astype(np.float64).sum())


def _mouth(found: list[Trail], seen: Sighting, person: int) -> float:
    """How much the lips open and close, in all: a still face that is seen for longer does not speak more."""
    frames, slots = _rows(found, person)
    order = np.argsort(frames)
    frames, gaps = frames[order], seen.gap[frames[order], slots[order]]
    steps = np.abs(np.diff(gaps))[np.diff(frames) == 1]
    return float(steps.sum()) if len(steps) else 0.0
