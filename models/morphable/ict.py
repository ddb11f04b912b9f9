"""ICT-FaceKit's morphable face, from arrays that a user has: identity modes and named expressions.

Its 100 identity modes are cut to 80 and its named shapes padded to 64. It has no colours of its own: those
of the built-in model are carried over by place. Only `tasks.morphable` opens the file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.morphable.fitting_in import fit_in, outwards, placed
from models.morphable.model import EXPRESSION, IDENTITY, Correspondence, MorphableModel, padded

__all__ = ["ict"]

F32 = NDArray[np.float32]

_MILLIMETRES = np.float32(10)
_UPRIGHT = np.array([1, -1, -1], np.float32)  # its y points up and its z at the viewer
_FACE, _EYEBALLS = 14062, ((22221, 23021), (23791, 24591))  # vertices of the parts that are kept
_BACK = 1.0  # centimetres; what lies behind is skull
_WHITE, _IRIS = np.array([0.76, 0.73, 0.71]), np.array([0.22, 0.15, 0.10])
# A shape at 1 is as far as a face goes; half of that is one deviation.
_DEVIATION = np.float32(0.8)
_TURN = np.float32(0.45)  # radians an eye turns by a shape at 1
_OPENINGS = ((33, 133, 159, 145), (362, 263, 386, 374))  # landmarks of an eye's corners and lids
_GROUPS = (
    ("jaw", ("jaw",)),
    ("lips", ("mouth",)),
    ("lids", ("eyeBlink", "eyeSquint", "eyeWide")),
    ("gaze", ("eyeLook",)),
    ("brows", ("brow",)),
    ("cheeks", ("cheek", "noseSneer")),
)


def ict(
    neutral: F32,
    identity: NDArray[np.floating],
    expression: NDArray[np.floating],
    names: Sequence[str],
    triangles: NDArray[np.integer],
    landmarks: NDArray[np.integer],
) -> MorphableModel:
    """The model; shapes (V, 3), (100, V, 3), (E, V, 3), (E,), (T, 3), (68,) as ICT-FaceKit has them."""
    kept, faces, eyeballs = _parts(neutral, np.asarray(triangles))
    place = np.full(len(neutral), -1)
    place[kept] = np.arange(len(kept))
    dlib = place[np.asarray(landmarks)]
    points = neutral[kept] * _UPRIGHT * _MILLIMETRES
    turn, shift = placed(points, points[dlib])
    mean = np.asarray(points @ turn.T + shift, np.float32)
    scaled = (_UPRIGHT * _MILLIMETRES)[None, None]
    who, moves = (
        ((a[:, kept].astype(np.float32) * scaled) @ turn.T.astype(np.float32)).transpose(1, 2, 0)
        for a in (identity, expression)
    )
    tris = outwards(mean, place[faces].astype(np.int32), dlib)
    lent = fit_in(mean, tris, dlib)
    colour, eyes = lent.colour.copy(), lent.eyes.copy()
    balls = [place[ball] for ball in eyeballs]
    fronts = [_front(mean, ball, lent.mesh) for ball in balls]
    for inside, front in zip(balls, fronts, strict=True):
        colour[inside], eyes[inside] = _eyeball(mean[inside], mean[front]), True
        _roll(moves, names, mean, inside, front)
    lent.texture[np.concatenate(balls)] = 0
    return MorphableModel(
        name="ict",
        mean=mean,
        identity=padded(who, IDENTITY),
        expression=padded(moves * _DEVIATION, EXPRESSION),
        colour=colour,
        texture=lent.texture,
        triangles=tris,
        mesh=_with_irises(lent.mesh, mean, fronts),
        dlib=Correspondence.at_vertices(np.arange(68), dlib),
        eyes=eyes,
        mouth=lent.mouth,
        groups=tuple([_group(n) for n in names] + ["other"] * (EXPRESSION - len(names)))[:EXPRESSION],
        names=(*names, *(f"unused_{k}" for k in range(EXPRESSION - len(names))))[:EXPRESSION],
    )


def _group(name: str) -> str:
    return next((g for g, starts in _GROUPS if name.startswith(starts)), "other")


def _parts(
    neutral: F32, triangles: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.integer], list[NDArray[np.int64]]]:
    """Vertices and triangles of the face's front and the eyeballs, and each eyeball's vertices."""
    balls = [np.arange(*ball) for ball in _EYEBALLS]
    wanted = np.zeros(len(neutral), bool)
    wanted[:_FACE] = neutral[:_FACE, 2] > _BACK
    for ball in balls:
        wanted[ball] = True
    faces = triangles[wanted[triangles].all(1)]
    return np.unique(faces), faces, [b[np.isin(b, faces)] for b in balls]


def _front(mean: F32, ball: NDArray[np.int64], mesh: Correspondence) -> int:
    """The vertex of an eyeball that lies in the middle of its eye: the foremost one looks up and inwards."""
    corners = mesh.of(mean)[list(_OPENINGS[int(mean[ball, 0].mean() > 0)])]
    seen = ball[mean[ball, 2] < mean[ball, 2].mean()]
    return int(seen[((mean[seen, :2] - corners[:, :2].mean(0)) ** 2).sum(1).argmin()])


def _roll(moves: F32, names: Sequence[str], mean: F32, ball: NDArray[np.int64], front: int) -> None:
    """Let the shapes of a look (V, 3, E) turn the eyeball: as they come they move lids only."""
    centre = (mean[ball].min(0) + mean[ball].max(0)) / 2
    inwards = -float(np.sign(centre[0]))
    side = "L" if centre[0] > 0 else "R"
    ways = {"Down": (0, 1, 0), "Up": (0, -1, 0), "In": (inwards, 0, 0), "Out": (-inwards, 0, 0)}
    for way, towards in ways.items():
        name = f"eyeLook{way}_{side}"
        if name in names and not moves[ball, :, names.index(name)].any():
            ahead = mean[front] - centre
            axis = np.cross(ahead / np.linalg.norm(ahead), np.array(towards, np.float32))
            moves[ball, :, names.index(name)] = _TURN * np.cross(axis, mean[ball] - centre)


def _with_irises(mesh: Correspondence, mean: F32, fronts: Sequence[int]) -> Correspondence:
    """The landmarks with the irises' centres: without them nothing says where the eyes look."""
    ordered = sorted(fronts, key=lambda v: float(mean[v, 0]))
    irises = Correspondence.at_vertices(np.array([468, 473]), np.array(ordered))
    return Correspondence(*(np.concatenate(pair) for pair in zip(mesh, irises, strict=True)))


def _eyeball(points: F32, front: F32) -> F32:
    """White, with an iris about its front."""
    away = np.linalg.norm(points - front, axis=1)[:, None]
    iris = np.clip((6.3 - away) / 1.0, 0, 1)
    pupil = np.clip((2.6 - away) / 0.8, 0, 1)
    return np.asarray((_WHITE * (1 - iris) + _IRIS * iris) * (1 - 0.8 * pupil), np.float32)
