"""Everything of a talking head but the mouth: head, blinks, gaze, brows, mood. Seeded and aperiodic.

Curves live on the grid of `visemes`, so that any frame rate reads the same motion; every channel draws
from a stream of its own, so that a change to one leaves the others as they were. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from models.puppet.expression import CONTROLS, INDEX
from models.puppet.gestures import accents, bump, phrases, speaking, step, stream, wander
from models.puppet.phonetics import Phoneme
from models.puppet.visemes import GRID_RATE

__all__ = ["LIMITS", "Style", "blink_times", "motion_curves", "style_for", "vivid_style"]

# Radians and millimetres, each way from the pose at rest; the order of `Performance.poses`.
LIMITS = np.array([np.radians(7.0), np.radians(12.0), np.radians(5.0), 7.0, 5.0, 12.0])
_FULL_GAZE = np.radians(30.0)
_FEWEST_BETWEEN_BLINKS_S = 0.8
_AXES = ("pitch", "yaw", "roll")


@dataclass(frozen=True)
class Style:
    """How a person moves: the same words look different on different people."""

    energy: float = 1.0  # of head and brows
    smile: float = 0.08
    lopsided: float = 0.0  # -0.2 to 0.2: more smile on the left or on the right
    blinks_per_minute: float = 16.0
    looks_away: float = 0.22  # the part of fixations that are not at the camera
    droop: float = 0.02  # of the upper lids at rest
    amounts: tuple[float, float, float] = (1.0, 1.0, 1.0)  # how far the head nods, turns and tilts
    paces: tuple[float, float, float] = (1.0, 1.0, 1.0)  # how fast it does
    sway: float = 1.0  # how far it is carried sideways, forth and back
    blink_length: float = 1.0


def style_for(seed: int) -> Style:
    """The style of the person with this seed."""
    draw = stream(seed, "style")
    return Style(
        energy=float(draw.uniform(0.75, 1.15)),
        smile=float(draw.uniform(0.0, 0.16)),
        lopsided=float(draw.uniform(-0.15, 0.15)),
        blinks_per_minute=float(draw.uniform(14.5, 17.5)),
        looks_away=float(draw.uniform(0.12, 0.3)),
        droop=float(draw.uniform(0.0, 0.05)),
    )


def vivid_style(seed: int) -> Style:
    """One that is told from others' at a look: who hardly moves, who never rests; 6 to 35 blinks a minute."""
    draw = stream(seed, "vivid style")

    def some(least: float, most: float) -> float:
        return float(np.exp(draw.uniform(np.log(least), np.log(most))))

    return replace(
        style_for(seed),
        amounts=(some(0.4, 1.7), some(0.4, 1.7), some(0.4, 1.7)),
        paces=(some(0.6, 1.6), some(0.6, 1.6), some(0.6, 1.6)),
        sway=some(0.4, 2.0),
        blinks_per_minute=some(6.0, 35.0),
        blink_length=some(0.8, 2.0),
    )


def motion_curves(
    phonemes: Sequence[Phoneme], duration_s: float, seed: int, style: Style | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Controls (n, controls) with the mouth's left at zero but for the smile, and pose offsets (n, 6)."""
    manner = style or style_for(seed)
    count = int(np.ceil(duration_s * GRID_RATE)) + 2
    t = np.arange(count) / GRID_RATE
    controls = np.zeros((count, len(CONTROLS)))
    poses = _head(t, phonemes, seed, manner)
    glances = _glances(duration_s, phonemes, seed, manner)
    gaze = _gaze(t, glances, poses, seed)
    controls[:, INDEX["gaze_x"]], controls[:, INDEX["gaze_y"]] = gaze.T
    _brows(controls, t, phonemes, seed, manner)
    _lids(controls, t, blink_times(duration_s, phonemes, seed, manner, glances), gaze, seed, manner)
    _mood(controls, t, phonemes, seed, manner)
    return controls, poses


def _head(t: np.ndarray, phonemes: Sequence[Phoneme], seed: int, style: Style) -> np.ndarray:
    alive = 0.3 + 0.7 * speaking(t, phonemes)
    pace = {**dict(zip(_AXES, style.paces, strict=True)), "x": 1.0, "z": 1.0}
    noise = {axis: wander(t, 2.6 / own, seed, f"{axis} slow") for axis, own in pace.items()}
    quick = {axis: wander(t, 0.7 / pace[axis], seed, f"{axis} quick") for axis in _AXES}
    pitch = (0.9 * noise["pitch"] + 0.45 * quick["pitch"]) * alive
    yaw = (2.1 * noise["yaw"] + 0.8 * quick["yaw"]) * alive
    roll = (0.8 * noise["roll"] + 0.35 * quick["roll"]) * alive
    _take_postures(pitch, yaw, roll, t, phonemes, seed, style.paces)
    _nod(pitch, yaw, phonemes, seed)
    breath = _breath(t, seed)
    axes = zip((pitch + 0.25 * breath, yaw, roll), style.amounts, strict=True)
    angles = [np.radians(style.energy * own * degrees) for degrees, own in axes]
    x = 1.6 * style.sway * noise["x"] * alive + 12.0 * angles[1]
    shift = [x, 0.7 * breath + 0.5 * noise["pitch"], 3.0 * style.sway * noise["z"] * alive - 1.0 * breath]
    # Softly: a hard stop at the limit would show. Who moves more than others goes as much further.
    limits = LIMITS * np.maximum([*style.amounts, style.sway, 1.0, style.sway], 1.0)
    return np.asarray(limits * np.tanh(np.stack([*angles, *shift], axis=1) / limits))


def _breath(t: np.ndarray, seed: int) -> np.ndarray:
    pace = 0.26 * (1.0 + 0.25 * np.clip(wander(t, 5.0, seed, "breath"), -2.0, 2.0))
    start = stream(seed, "breath phase").uniform(0, 2 * np.pi)
    return np.sin(start + 2 * np.pi * np.cumsum(pace) / GRID_RATE)


def _take_postures(
    pitch: np.ndarray,
    yaw: np.ndarray,
    roll: np.ndarray,
    t: np.ndarray,
    phonemes: Sequence[Phoneme],
    seed: int,
    paces: Sequence[float],
) -> None:
    """A new posture with every phrase, and within long ones every few seconds."""
    draw = stream(seed, "posture")
    now = np.zeros(3)
    for start, end in phrases(phonemes):
        at = start - 0.15
        while at < max(end - 0.7, start):
            target = draw.normal(0.0, 1.0, 3) * (1.5, 4.2, 1.5)
            lasts = draw.uniform(0.5, 1.0)
            for curve, delta, pace in zip((pitch, yaw, roll), target - now, paces, strict=True):
                curve += delta * step((t - at) / (lasts / pace))
            now = target
            at += draw.uniform(1.8, 4.0)
        bump(pitch, end - 0.1, draw.uniform(0.6, 2.0), 0.3, 0.6)


def _nod(pitch: np.ndarray, yaw: np.ndarray, phonemes: Sequence[Phoneme], seed: int) -> None:
    draw = stream(seed, "nod")
    for at, loudness in accents(phonemes):
        chance, size, side, rise, fall = draw.uniform(0, 1, 5)
        if chance > 0.55:
            continue
        down = 1.0 if chance > 0.08 else -0.7
        rise_s, fall_s = 0.14 + 0.1 * rise, 0.22 + 0.18 * fall
        bump(pitch, at, down * loudness * (0.9 + 2.0 * size), rise_s, fall_s)
        bump(yaw, at, 2.4 * (side - 0.5), rise_s, fall_s)


def _glances(
    duration_s: float, phonemes: Sequence[Phoneme], seed: int, style: Style
) -> list[tuple[float, float, float]]:
    """(time, x, y) of each new fixation in radians from the camera; most of them are the camera."""
    draw = stream(seed, "glance")
    found, at, away = [(-1.0, 0.0, 0.0)], 0.0, False
    while at < duration_s:
        at += float(draw.uniform(0.4, 1.1)) if away else float(draw.lognormal(np.log(0.9), 0.5)) + 0.35
        away = not away and draw.uniform() < style.looks_away
        side = draw.choice([-1.0, 1.0])
        far = (side * draw.uniform(5.0, 13.0), draw.uniform(-4.0, 7.0))
        near = draw.normal(0.0, 0.5, 2)
        found.append((at, *(float(np.radians(v)) for v in (far if away else near))))
    return found


def _gaze(
    t: np.ndarray, glances: Sequence[tuple[float, float, float]], poses: np.ndarray, seed: int
) -> np.ndarray:
    """Eyes keep their target while the head turns: what the head does, they undo."""
    target = np.zeros((len(t), 2))
    for (_, x0, y0), (at, x, y) in pairwise(glances):
        turn = np.array([x - x0, y - y0])
        lasts = 0.021 + 0.0022 * float(np.degrees(np.hypot(*turn)))
        first, last = (max(0, int(s * GRID_RATE)) for s in (at, at + lasts + 0.01))
        target[first:last] += turn * step((t[first:last] - at) / lasts)[:, None]
        target[last:] += turn
    tremor = np.stack([wander(t, 0.5, seed, f"tremor {axis}") for axis in "xy"], axis=1)
    undone = np.stack([poses[:, 1], -poses[:, 0]], axis=1)
    return np.clip((target + undone + np.radians(0.15) * tremor) / _FULL_GAZE, -1.0, 1.0)


def blink_times(
    duration_s: float,
    phonemes: Sequence[Phoneme],
    seed: int,
    style: Style,
    glances: Iterable[tuple[float, float, float]] = (),
) -> list[float]:
    """When the lids begin to close: irregular, and rather where a phrase ends or the eyes jump."""
    draw = stream(seed, "blink")
    mean = 60.0 / style.blinks_per_minute
    likely = np.array(
        [end for _, end in phrases(phonemes)] + [at for at, x, _ in glances if abs(x) > np.radians(8)] + [1e9]
    )
    planned, found = float(draw.uniform(0.2, 1.0)) * mean, [-1e9]
    while planned < duration_s:
        near = float(likely[np.argmin(np.abs(likely - planned))]) + float(draw.uniform(-0.04, 0.12))
        wanted = near if draw.uniform() < 0.65 and abs(near - planned) < 0.9 else planned
        found.append(max(wanted, found[-1] + _FEWEST_BETWEEN_BLINKS_S, 0.0))
        # Log-normal about the mean: intervals of real blinks are skewed, a few are long.
        planned += mean * float(np.clip(draw.lognormal(-0.08, 0.4), 0.3, 2.4))
    return found[1:]


def _lids(
    controls: np.ndarray, t: np.ndarray, blinks: Iterable[float], gaze: np.ndarray, seed: int, style: Style
) -> None:
    draw = stream(seed, "lids")
    left, right = np.zeros(len(t)), np.zeros(len(t))
    for at in blinks:
        close, hold, open_, depth, late, weak = draw.uniform(0, 1, 6)
        long = style.blink_length
        rise, held, fall = (
            long * part for part in (0.06 + 0.025 * close, 0.015 + 0.025 * hold, 0.11 + 0.05 * open_)
        )
        shut = 0.94 + 0.06 * depth
        bump(left, at + rise, shut, rise, fall, held)
        bump(right, at + rise + 0.005 * late, shut * (1.0 - 0.02 * weak), rise, fall, held)
    # Upper lids follow the eyes down.
    open_lids = np.clip(style.droop + 0.3 * gaze[:, 1], 0.0, 0.3)
    controls[:, INDEX["lid_left"]] = np.clip(np.maximum(left, open_lids), 0.0, 1.0)
    controls[:, INDEX["lid_right"]] = np.clip(np.maximum(right, open_lids * 0.97), 0.0, 1.0)
    controls[:, INDEX["lid_wide"]] += np.clip(-0.35 * gaze[:, 1], 0.0, 0.25)


def _brows(controls: np.ndarray, t: np.ndarray, phonemes: Sequence[Phoneme], seed: int, style: Style) -> None:
    draw = stream(seed, "brow")
    raised, lowered, free_at = np.zeros(len(t)), np.zeros(len(t)), 0.0
    for at, loudness in accents(phonemes):
        chance, size, rise, hold, fall = draw.uniform(0, 1, 5)
        if chance > 0.34 or at < free_at:
            continue
        free_at = at + 0.9
        curve, strength = (raised, 0.2 + 0.4 * size) if chance > 0.05 else (lowered, 0.15 + 0.25 * size)
        bump(curve, at, style.energy * loudness * strength, 0.12 + 0.1 * rise, 0.3 + 0.25 * fall, 0.2 * hold)
    idle = 0.05 * np.maximum(0.0, wander(t, 3.0, seed, "brow idle"))
    controls[:, INDEX["brow_inner_raise"]] = np.clip(idle + raised, 0.0, 0.85)
    controls[:, INDEX["brow_outer_raise"]] = np.clip(idle + float(draw.uniform(0.6, 1.0)) * raised, 0.0, 0.85)
    controls[:, INDEX["brow_lower"]] = np.clip(lowered, 0.0, 0.6)
    controls[:, INDEX["lid_wide"]] += 0.25 * np.clip(raised, 0.0, 0.8)


def _mood(controls: np.ndarray, t: np.ndarray, phonemes: Sequence[Phoneme], seed: int, style: Style) -> None:
    smile = style.smile * (1.0 + 0.45 * wander(t, 4.0, seed, "smile")) * (1.3 - 0.4 * speaking(t, phonemes))
    smile = np.clip(smile, 0.0, 0.35)
    controls[:, INDEX["smile_left"]] = smile * (1.0 + style.lopsided)
    controls[:, INDEX["smile_right"]] = smile * (1.0 - style.lopsided)
    controls[:, INDEX["cheek_raise"]] = 0.5 * smile
    controls[:, INDEX["lid_tighten"]] = 0.2 * smile
