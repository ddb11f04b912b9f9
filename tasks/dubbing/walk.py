"""In which order a template's frames are shown, so that they last as long as the speech.

    walk = Walk.over(rows, frames=n, rate=25.0)      # walk.order: the template's frame for each of n

Pure functions of what the track says; called by `tasks.dubbing.stage`. A template that is too short is walked
back and forth: each frame is followed by its neighbour in the template, so that nothing can leap, and the
turning points are moments at which the head is nearly still, so that nobody sees it turn back.

Shape legend: T frames of the template, n frames of the output.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Looks",
    "Stretch",
    "runs_of",
    "settling",
    "speaking",
    "stillness",
    "stretches",
    "turning_points",
    "walk",
]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Where to look for a place to turn: in this much of either end, and over so much time is stillness told.
_ENDS_S, _ENDS_SHARE, _STILL_S = 2.5, 0.25, 0.2
_TURNS = 3
# A head's millimetres that weigh as much as one radian: about its radius.
_RADIUS_MM = 100.0
_FADE_S, _YAW_FADE = 0.16, np.radians(12.0)
_SETTLE_S = 0.8


class Looks(NamedTuple):
    """What is known of each frame of a template."""

    rotation: F32  # (T, 3) radians
    translation: F32  # (T, 3) mm
    sharpness: F32  # (T,)
    shot: NDArray[np.int32]  # (T,)
    seen: Mask  # (T,) a face is there


class Stretch(NamedTuple):
    """Frames start to stop of one shot, all with a face."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def runs_of(state: NDArray[np.generic]) -> list[tuple[int, int]]:
    """Where equal values follow each other: (start, stop)."""
    edges = np.flatnonzero(state[1:] != state[:-1]) + 1
    cuts = [0, *edges.tolist(), len(state)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a]


def stretches(looks: Looks, usable: Mask) -> list[Stretch]:
    """Runs of usable frames with a face, of one shot each."""
    state = np.where(looks.seen & usable, looks.shot, -1)
    return [Stretch(a, b) for a, b in runs_of(state) if state[a] >= 0]


def stillness(looks: Looks, rate: float) -> F32:
    """How fast the head moves at each frame (T,), radians a second and the like; infinite without a face."""
    place = np.concatenate([looks.rotation, looks.translation / _RADIUS_MM], 1).astype(np.float64)
    steps = np.linalg.norm(np.diff(place, axis=0), axis=1) * rate
    steps[~(looks.seen[1:] & looks.seen[:-1]) | (looks.shot[1:] != looks.shot[:-1])] = np.inf
    steps = np.where(np.isfinite(steps), steps, np.inf)
    if not len(steps):
        return np.zeros(len(place), np.float32)
    # A frame is as fast as the way to it and the way from it; then as fast as its surroundings.
    speed = np.maximum(np.r_[steps[:1], steps], np.r_[steps, steps[-1:]])
    reach = max(round(_STILL_S / 2 * rate), 1)
    padded = np.pad(speed, reach, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return np.asarray(0.5 * speed + 0.5 * around.mean(1), np.float32)


def turning_points(speed: F32, stretch: Stretch, rate: float) -> tuple[I64, I64]:
    """Frames to turn at near the beginning and near the end, the stillest first."""
    reach = max(1, min(round(_ENDS_S * rate), round(_ENDS_SHARE * len(stretch))))
    early = np.arange(stretch.start, min(stretch.start + reach, stretch.stop))
    late = np.arange(max(stretch.stop - reach, stretch.start), stretch.stop)
    return _stillest(speed, early, rate), _stillest(speed, late, rate)


def _stillest(speed: F32, frames: I64, rate: float) -> I64:
    """Up to three, not next to each other and not much faster than the stillest."""
    chosen: list[int] = []
    ranked = frames[np.argsort(speed[frames], kind="stable")]
    for frame in ranked.tolist():
        far = all(abs(frame - other) > 0.3 * rate for other in chosen)
        slow = not chosen or speed[frame] <= 1.5 * speed[chosen[0]]
        if far and slow:
            chosen.append(frame)
        if len(chosen) == _TURNS:
            break
    return np.array(chosen, np.int64)


def walk(looks: Looks, within: Stretch, frames: int, rate: float) -> I64:
    """The template's frame for each output frame (n,).

    Straight on as long as `within` lasts; then back and forth between turning points, by turns.
    """
    if len(within) >= frames:
        return np.arange(within.start, within.start + frames)
    if len(within) < 3:
        return np.minimum(np.arange(within.start, within.start + frames), within.stop - 1)
    early, late = turning_points(stillness(looks, rate), within, rate)
    return _to_and_fro(within.start, early, late, frames)


def _to_and_fro(begin: int, early: I64, late: I64, frames: int) -> I64:
    parts, have, at, leg = [np.array([begin])], 1, begin, 0
    while have < frames:
        target = int((early if leg % 2 else late)[(leg // 2) % len(early if leg % 2 else late)])
        step = 1 if target > at else -1
        way = np.arange(at + step, target + step, step) if target != at else np.array([at])
        parts.append(way)
        have, at, leg = have + len(way), target, leg + 1
    return np.concatenate(parts)[:frames]


def speaking(looks: Looks, order: I64, rate: float, yaw_limit: float) -> tuple[NDArray[np.int32], F32]:
    """Of each output frame: a number that changes where the picture jumps, and 0 to 1 how far it is redrawn.

    Faces turned further than the limit, and the moments around a lost face, fade to the original.
    """
    seen, shot = looks.seen[order], looks.shot[order]
    leap = np.abs(np.diff(order, prepend=order[:1])) > 1
    cut = np.r_[False, shot[1:] != shot[:-1]] | leap
    lost = np.r_[False, seen[1:] != seen[:-1]]
    run = np.cumsum(cut | lost).astype(np.int32)
    yaw = np.where(seen, np.abs(looks.rotation[order, 1]), 0)
    share = np.clip((yaw_limit - yaw) / _YAW_FADE, 0, 1)
    share = np.where(seen, share * share * (3 - 2 * share), 0)
    return run, _eased(share.astype(np.float32), cut, rate)


def settling(share: F32, run: NDArray[np.int32], rate: float) -> F32:
    """0 to 1, how far a head may be where it is wanted (n,): at 0 it is where it was filmed.

    There it is wherever the original comes through, or else two heads would be seen at once; and heads take
    their time.
    """
    whole = (share >= 1).astype(np.float32)
    cut = np.r_[False, run[1:] != run[:-1]]
    eased = _eased(whole, cut & (share >= 1) & np.r_[False, share[:-1] >= 1], rate, _SETTLE_S)
    return np.asarray(eased * eased * (3 - 2 * eased), np.float32)


def _eased(share: F32, cut: Mask, rate: float, seconds: float = _FADE_S) -> F32:
    """Nothing comes or goes at once, but where the picture itself is cut."""
    out, most = share.copy(), 1.0 / max(seconds * rate, 1.0)
    for start, stop in runs_of(np.cumsum(cut)):
        own = out[start:stop]
        for i in range(1, len(own)):
            own[i] = min(own[i], own[i - 1] + most)
        for i in range(len(own) - 2, -1, -1):
            own[i] = min(own[i], own[i + 1] + most)
    return out
