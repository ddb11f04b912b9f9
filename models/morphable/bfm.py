"""Deng et al.'s layout of the Basel face model (`BFM_model_front.mat`), from arrays that a user licenses.

Only `tasks.morphable` opens the file. Its modes already have the length of one standard deviation; its
unit is ten centimetres, its y points up and its z at the viewer; its indices count from one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.morphable.fitting_in import fit_in, outwards, placed
from models.morphable.model import EXPRESSION, IDENTITY, TEXTURE, Correspondence, MorphableModel, padded

__all__ = ["KEYS", "bfm"]

F32 = NDArray[np.float32]

KEYS = ("meanshape", "idBase", "exBase", "meantex", "texBase", "tri", "keypoints")
_MILLIMETRES = np.float32(100)
_UPRIGHT = np.array([1, -1, -1], np.float32)


def bfm(arrays: Mapping[str, NDArray[np.generic]]) -> MorphableModel:
    """The model; `arrays` has at least `KEYS`, flat as they are stored: (1, 3V), (3V, K), (T, 3), (1, 68)."""
    shape = np.asarray(arrays["meanshape"], np.float32).reshape(-1, 3)
    count = len(shape)
    dlib = np.asarray(arrays["keypoints"]).ravel().astype(np.int64) - 1
    if dlib.shape != (68,) or dlib.min() < 0 or dlib.max() >= count:
        raise ValueError(f"keypoints are no 68 of the {count} vertices")
    points = (shape - shape.mean(0)) * _UPRIGHT * _MILLIMETRES
    turn, shift = placed(points, points[dlib])
    mean = np.asarray(points @ turn.T + shift, np.float32)
    triangles = np.asarray(arrays["tri"]).astype(np.int32) - 1
    if triangles.min() < 0 or triangles.max() >= count:
        raise ValueError(f"triangles name vertices beyond the {count} there are")
    triangles = outwards(mean, triangles, dlib)
    lent = fit_in(mean, triangles, dlib)
    turned = (turn * _UPRIGHT).astype(np.float32) * _MILLIMETRES
    return MorphableModel(
        name="bfm",
        mean=mean,
        identity=padded(_modes(arrays["idBase"], count, turned), IDENTITY),
        expression=padded(_modes(arrays["exBase"], count, turned), EXPRESSION),
        colour=np.asarray(arrays["meantex"], np.float32).reshape(-1, 3) / 255,
        texture=padded(_modes(arrays["texBase"], count, np.eye(3, dtype=np.float32) / 255), TEXTURE),
        triangles=triangles,
        mesh=lent.mesh,
        dlib=Correspondence.at_vertices(np.arange(68), dlib),
        eyes=lent.eyes,
        mouth=lent.mouth,
    )


def _modes(stored: NDArray[np.generic], count: int, turn: F32) -> F32:
    """(3V, K) as stored to (V, 3, K), turned."""
    modes = np.asarray(stored, np.float32)
    if modes.ndim != 2 or modes.shape[0] != 3 * count:
        raise ValueError(f"a basis is {modes.shape}, not ({3 * count}, modes)")
    return np.ascontiguousarray(np.einsum("ij,vjk->vik", turn, modes.reshape(count, 3, -1)))
