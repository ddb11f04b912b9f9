"""What is the same about a person through a clip: learnt from some frames, used on all.

`meet` looks at a few hundred frames of one person; `settle` reads any frames with what was learnt.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.track.calibration import Calibration
from models.track.camera import Camera
from models.track.eyes import closure, gaze_angles, gaze_vectors, openings
from models.track.pose import Poses, solve, turned, unposed
from models.track.units import REST, measured, presence, sides

__all__ = ["Person", "Settled", "bones", "meet", "settle"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_OPEN, _AU23, _AU25 = 0.8, 13, 14


class Person(NamedTuple):
    """A person's own constants."""

    nod: float  # rad by which the mesh misreads this person's pitch
    rest: F32  # (17,) action units at rest, as measured
    wide: F32  # (2,) openings of the eyes as they usually stand
    ahead: F32  # (2, 2) mm where irises stand when looking ahead


class Settled(NamedTuple):
    """All that is told of frames of one person."""

    pose: F32  # (T, 6)
    units: F32  # (T, 17)
    presence: NDArray[np.uint8]  # (T, 18)
    gaze: F32  # (T, 2, 3)
    error: F32  # (T,) mm


def _posed(points: F32, camera: Camera, known: Calibration, nod: float) -> tuple[Poses, F32]:
    seen = solve(points[:, known.rigid], known.face[known.rigid].astype(np.float64), camera)
    # The misreading is the head's own: it is undone before the turn.
    back = turned(np.array([[-nod, 0.0, 0.0]]))[0]
    poses = Poses(seen.r @ back, seen.t, seen.error)
    return poses, unposed(points, poses, camera)


def bones(points: F32, camera: Camera, known: Calibration) -> F32:
    """The rigid part of a face (N * 3,), mm, as the mesh sees it on average over frames (T, 478, 3)."""
    _, own = _posed(points, camera, known, 0.0)
    mean = np.median(own[:, known.rigid], axis=0) - known.face[known.rigid]
    return np.asarray((mean - mean.mean(0)).reshape(-1), np.float32)


def meet(points: F32, camera: Camera, known: Calibration) -> Person:
    """Learn a person from frames (T, 478, 3) spread over the clip."""
    shape = bones(points, camera, known)
    nod = float(np.clip(np.r_[shape, 1.0] @ known.nod, -0.15, 0.15))
    _, own = _posed(points, camera, known, nod)
    raw = measured(sides(own, known.mirror), known.unit_points, known.unit_weights)
    rest = np.quantile(raw, REST, axis=0)
    wide = np.quantile(openings(own.astype(np.float64)), _OPEN, axis=0)
    looks = gaze_angles(own.astype(np.float64), np.zeros((2, 2)))
    ahead = 12.0 * np.sin(np.median(looks, axis=0))
    return Person(nod, rest.astype(np.float32), wide.astype(np.float32), ahead.astype(np.float32))


def settle(points: F32, person: Person, camera: Camera, known: Calibration) -> Settled:
    """Read frames (T, 478, 3) that all have the person's face."""
    poses, own = _posed(points, camera, known, person.nod)
    wide64, own64 = person.wide.astype(np.float64), own.astype(np.float64)
    raw = measured(sides(own, known.mirror), known.unit_points, known.unit_weights) - person.rest
    shut = closure(openings(own64), poses.rows[:, 1], wide64, float(known.lids[0]))
    raw[:, 16] = 5 * shut * known.lids[1]
    units = np.clip(raw, 0, 5).astype(np.float32)
    sucked = (units[:, _AU23] > 2.0) & (units[:, _AU25] < 0.3)
    looks = gaze_angles(own64, person.ahead.astype(np.float64))
    looks = looks * known.gaze[0]
    return Settled(
        poses.rows.astype(np.float32),
        units,
        presence(units, sucked),
        gaze_vectors(looks, poses.r),
        poses.error.astype(np.float32),
    )
