"""What is the same about a person through a clip: learnt from some frames, used on all.

`meet` looks at a few hundred frames of one person; `settle` reads any frames with what was learnt.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.track.calibration import Calibration
from models.track.camera import Camera, rotations
from models.track.eyes import EYEBALL_MM, gaze_angles, gaze_vectors
from models.track.pose import Poses, solve, unposed
from models.track.units import measured, presence, resting, sides

__all__ = ["Person", "Settled", "bones", "meet", "settle"]

F32 = NDArray[np.float32]

_MOST_NOD, _MOST_SIZE = 0.14, 0.08
_LID_UNIT = 16


class Person(NamedTuple):
    """A person's own constants."""

    nod: float  # rad of pitch that the mesh sees too much in this person
    size: float  # how much too far away the mean face makes this person
    rest: F32  # (17,) action units at rest, as measured
    ahead: F32  # (2, 2) mm where irises stand when looking ahead


class Settled(NamedTuple):
    """All that is told of frames of one person."""

    pose: F32  # (T, 6)
    units: F32  # (T, 17)
    presence: NDArray[np.uint8]  # (T, 18)
    gaze: F32  # (T, 2, 3)
    error: F32  # (T,) mm


def bones(points: F32, camera: Camera, known: Calibration) -> F32:
    """How a person's head differs from the mean (N * 3,), mm, seen on average over frames (T, 478, 3)."""
    return _bones(points, _seen(points, camera, known), camera, known)


def _bones(points: F32, seen: Poses, camera: Camera, known: Calibration) -> F32:
    own = unposed(points, seen, camera, known.face.mean(0))[:, known.rigid]
    off = np.median(own, axis=0) - known.face[known.rigid]
    return np.asarray((off - off.mean(0)).reshape(-1), np.float32)


def _seen(points: F32, camera: Camera, known: Calibration) -> Poses:
    """Poses as the mesh has them."""
    return solve(points[:, known.rigid], known.face[known.rigid].astype(np.float64), camera)


def _posed(points: F32, seen: Poses, camera: Camera, known: Calibration, nod: float) -> tuple[Poses, F32]:
    """Poses without the person's misread pitch, and the face in its own frame."""
    turns = seen.rows[:, :3] - np.array([nod, 0.0, 0.0])
    poses = Poses(rotations(turns), seen.t, seen.error)
    return poses, unposed(points, poses, camera, known.face.mean(0))


def meet(points: F32, camera: Camera, known: Calibration) -> Person:
    """Learn a person from frames (T, 478, 3) spread over the clip."""
    seen = _seen(points, camera, known)
    shape = np.r_[_bones(points, seen, camera, known), 1.0]
    nod = float(np.clip(shape @ known.nod, -_MOST_NOD, _MOST_NOD))
    size = float(np.exp(np.clip(shape @ known.size, -_MOST_SIZE, _MOST_SIZE)))
    poses, own = _posed(points, seen, camera, known, nod)
    raw = measured(sides(own, known.mirror), known.unit_points, known.unit_weights)
    rest = resting(raw)
    return Person(nod, size, rest, _ahead(poses, own, known))


def _ahead(poses: Poses, own: F32, known: Calibration) -> F32:
    """Where irises stand when the eyes look ahead: who is filmed looks into the camera mostly."""
    towards = np.einsum("tji,tj->ti", poses.r, -poses.t / np.linalg.norm(poses.t, axis=1, keepdims=True))
    camera = np.stack([np.arctan2(towards[:, 0], -towards[:, 2]), np.arcsin(towards[:, 1])], axis=1)
    offsets = EYEBALL_MM * np.sin(gaze_angles(own, np.zeros((2, 2), np.float32)))
    expected = EYEBALL_MM * np.sin(camera / known.gaze)
    return np.median(offsets - expected[:, None], axis=0).astype(np.float32)


def settle(points: F32, shut: F32, person: Person, camera: Camera, known: Calibration) -> Settled:
    """Read frames (T, 478, 3) that all have the person's face; `shut` (T,) tells of the lids."""
    seen = _seen(points, camera, known)
    poses, own = _posed(points, seen, camera, known, person.nod)
    raw = measured(sides(own, known.mirror), known.unit_points, known.unit_weights) - person.rest
    raw[:, _LID_UNIT] = 5 * shut
    units = np.clip(raw, 0, 5).astype(np.float32)
    rows = poses.rows
    rows[:, 3:] /= person.size
    looks = gaze_angles(own, person.ahead) * known.gaze
    return Settled(
        rows.astype(np.float32),
        units,
        presence(units),
        gaze_vectors(looks, poses.r),
        poses.error.astype(np.float32),
    )
