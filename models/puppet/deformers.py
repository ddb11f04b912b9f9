"""Expressions as displacements of the landmarks, made for one person's neutral face.

Handles (lip rings, chin, cheeks, brows) get hand-written displacements in millimetres; a bi-Laplacian
solve spreads them over the face. Only the jaw turns: everything else is linear, then lips and lids are
kept from crossing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.expression import CONTROLS, INDEX
from models.puppet.figure import EYES, LIP_RINGS, RIM, figure
from models.puppet.lids import move_lids
from models.puppet.lips import lip_moves, sealed
from models.puppet.mesh import extend

__all__ = ["JAW_AXIS", "JAW_RANGE", "Deformer", "jaw_rotation"]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

JAW_AXIS = np.array([0.0, -8.0, 66.0], np.float32)
JAW_RANGE = np.float32(0.36)  # radians at jaw_open 1
_CHIN = np.array([18, 200, 199, 175, 152, 83, 313, 201, 421, 208, 428, 171, 396, 148, 377])
_NOSE = np.array([1, 4, 5, 195, 197, 6, 168, 2, 94, 19, 98, 327, 64, 294, 48, 278, 129, 358, 49, 279])
_CHEEK = np.array([50, 280, 205, 425, 117, 346, 118, 347, 36, 266])
_FOLD = np.array([206, 426, 207, 427, 212, 432, 216, 436])
_BROW_IN = np.array([107, 55, 66, 65, 336, 285, 296, 295])
_BROW_MID = np.array([105, 52, 334, 282])
_BROW_OUT = np.array([70, 46, 63, 53, 300, 276, 293, 283])
_FOREHEAD = np.array([10, 151, 109, 338, 67, 297, 103, 332, 54, 284, 21, 251, 162, 389])


def jaw_rotation(amount: float) -> F32:
    """Opening about the ears: the chin goes down and a little back."""
    c, s = np.cos(JAW_RANGE * amount), np.sin(JAW_RANGE * amount)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)


class Deformer:
    """Moves one person's 478 landmarks (iris points are left to the eyes)."""

    def __init__(self, neutral: F32) -> None:
        self.neutral = sealed(neutral[:468])
        mean, triangles = figure().mean[:468], figure().triangles
        lips = np.unique(LIP_RINGS)
        eyes = np.unique(np.concatenate([np.concatenate(e[:2]) for e in EYES]))
        still = np.concatenate([_NOSE[:10], eyes, _FOREHEAD, _BROW_MID])
        self._lips = lips
        anchors = np.setdiff1d(np.concatenate([still, RIM[6:31], _NOSE[10:]]), lips)
        handles = np.concatenate([lips, anchors])
        self._spread = extend(mean, triangles, handles)[:, : len(lips)]
        self._seat = {int(v): i for i, v in enumerate(lips)}
        self._jaw = self._jaw_weights(mean, triangles, still)
        self._basis = np.zeros((len(CONTROLS), 468, 3), np.float32)
        self._mouth_bases()
        self._face_bases(mean, triangles)

    def _jaw_weights(self, mean: F32, triangles: NDArray[np.int32], still: I64) -> F32:
        target: dict[int, float] = {}
        share = np.abs(np.arange(11) - 5) / 5
        for ring in LIP_RINGS:
            target |= dict(zip(ring[1].tolist(), 1 - 0.58 * share**3.2, strict=True))
            target |= dict(zip(ring[0].tolist(), 0.42 * share**3.2, strict=True))
        target |= dict.fromkeys(_CHIN.tolist(), 1.0)
        height = mean[RIM, 1]
        target |= dict(zip(RIM.tolist(), np.clip((height - 12) / 42, 0, 1).tolist(), strict=True))
        target |= dict.fromkeys(np.concatenate([still, _NOSE]).tolist(), 0.0)
        handles = np.array(list(target))
        return np.clip(extend(mean, triangles, handles) @ np.array(list(target.values())), 0, 1).astype(
            np.float32
        )

    def _lip_field(self, move: F32) -> F32:
        """Spread displacements (4 rings, 2 lips, 11 columns, 3) over the face."""
        values = np.zeros((len(self._lips), 3), np.float32)
        for at, v in zip(LIP_RINGS.ravel(), move.reshape(-1, 3), strict=True):
            values[self._seat[int(at)]] = v
        return self._spread @ values

    def _mouth_bases(self) -> None:
        for name, move in lip_moves(self.neutral[LIP_RINGS]).items():
            self._basis[INDEX[name]] = self._lip_field(move)

    def _face_bases(self, mean: F32, triangles: NDArray[np.int32]) -> None:
        side = np.sign(mean[:, 0])

        def field(moves: list[tuple[I64, tuple[float, float, float]]], keep: I64) -> F32:
            values = {int(v): np.zeros(3) for v in keep}
            for points, (x, y, z) in moves:
                values |= {int(v): np.array([x * side[v], y, z]) for v in points}
            handles = np.array(list(values))
            return extend(mean, triangles, handles) @ np.stack(list(values.values())).astype(np.float32)

        eyes = np.concatenate([np.concatenate(e[:2]) for e in EYES])
        crease = np.concatenate([e.crease for e in EYES])
        bag = np.concatenate([e.bag for e in EYES])
        lower_face = np.concatenate([np.unique(LIP_RINGS), _NOSE, RIM])
        calm = np.concatenate([eyes, lower_face])
        b, i = self._basis, INDEX
        b[i["brow_inner_raise"]] = field([(_BROW_IN, (0, -6.5, 0)), (_BROW_OUT, (0, 0, 0))], calm)
        b[i["brow_outer_raise"]] = field(
            [(_BROW_OUT, (0, -5.5, 0.5)), (_BROW_MID, (0, -4.5, 0)), (_BROW_IN, (0, -0.5, 0))], calm
        )
        b[i["brow_lower"]] = field(
            [(_BROW_IN, (-2.6, 5, -0.8)), (_BROW_MID, (-1, 4, 0)), (_BROW_OUT, (0, 1.6, 0))], calm
        )
        still = np.concatenate([np.unique(LIP_RINGS), RIM, _BROW_MID, _NOSE])
        b[i["cheek_raise"]] = field(
            [(_CHEEK, (1, -3.6, -2.2)), (bag, (0, -1.6, -0.6))], np.concatenate([still, eyes, crease])
        )
        b[i["nose_wrinkle"]] = field(
            [
                (_NOSE[10:], (1.0, -2.6, -0.4)),
                (np.array([37, 267, 0]), (0, -1.6, 0)),
                (_BROW_IN, (-0.8, 2, 0)),
            ],
            np.concatenate([eyes, RIM, _NOSE[:6]]),
        )
        lift = field(
            [(_CHEEK, (1.2, -3.0, -2.6)), (_FOLD, (2.5, -2.5, -0.8)), (bag, (0, -1.0, 0))],
            np.concatenate([still, eyes, crease]),
        )
        for name, sign in (("smile_left", 1), ("smile_right", -1)):
            part = 1 / (1 + np.exp(-sign * mean[:, :1] / 5))
            b[i[name]] += lift * part
        chin = field([(_CHIN[:8], (0, -4.2, -1.8))], np.concatenate([_NOSE, RIM[:14], RIM[23:], _CHEEK]))
        b[i["chin_raise"]] += 0.6 * chin

    def __call__(self, row: F32) -> F32:
        """Landmarks (468, 3) of the expression, before lids."""
        row = row.copy()
        # Lips cannot be drawn together and apart at once: rounding wins.
        row[INDEX["lips_wide"]] *= 1 - 0.85 * min(
            row[INDEX["lips_round"]] + 0.6 * row[INDEX["lips_funnel"]], 1
        )
        p = self.neutral + np.tensordot(row, self._basis, axes=1)
        turned = (p - JAW_AXIS) @ jaw_rotation(float(row[INDEX["jaw_open"]])).T + JAW_AXIS
        p = p + self._jaw[:, None] * (turned - p)
        p = self._seal(p, row)
        for side in range(len(EYES)):
            p = move_lids(p, row, side)
        return p.astype(np.float32)

    def _seal(self, p: F32, row: F32) -> F32:
        """Bring the inner lips together as far as asked, and never let them cross."""
        inner = p[LIP_RINGS[3]]
        gap = inner[1] - inner[0]
        close = np.clip(row[INDEX["lips_close"]] + row[INDEX["lips_press"]], 0, 1)
        meet = gap * close
        crossed = gap[:, 1] * (1 - close) < 0
        meet[crossed] = gap[crossed]
        depth = np.array([0.9, 0.95, 1.0, 1.0], np.float32)[:, None, None]
        move = np.stack(
            [np.broadcast_to(meet * 0.32, (4, 11, 3)), np.broadcast_to(-meet * 0.68, (4, 11, 3))], 1
        )
        return p + self._lip_field(move * depth[:, None])
