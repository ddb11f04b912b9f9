"""Expression factors from the puppet's rig: what jaw, lips, lids, brows, cheeks and gaze can do to a face.

Displacements of the 468 landmarks of the mean face, one standard deviation each. The rig's own controls
come first; smooth moves of lips, lids and brows beside them reach what real people do and the rig does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.puppet.deformers import JAW_AXIS, Deformer
from models.puppet.expression import CONTROLS, INDEX
from models.puppet.figure import EYES, LIP_RINGS, figure
from models.puppet.mesh import extend

__all__ = ["Rig"]

F64 = NDArray[np.float64]

_BROWS = (np.array([107, 66, 105, 63, 70]), np.array([336, 296, 334, 293, 300]))
_BROWS_LOW = (np.array([55, 65, 52, 53, 46]), np.array([285, 295, 282, 283, 276]))


class Rig:
    """Factors (468, 3) by group. Left and right are apart wherever a face can do them apart."""

    def __init__(self) -> None:
        self.mean = figure().mean[:468]
        self.deform = Deformer(figure().mean)
        self.rest = self.deform(np.zeros(len(CONTROLS), np.float32)).astype(np.float64)
        self._side = self.mean[:, :1] / 6.0

    def moved(self, **controls: float) -> F64:
        row = np.zeros(len(CONTROLS), np.float32)
        for name, value in controls.items():
            row[INDEX[name]] = value
        return np.asarray(self.deform(row) - self.rest)

    def _halves(self, move: F64) -> tuple[F64, F64]:
        right = 1 / (1 + np.exp(-self._side))
        return move * right, move * (1 - right)

    def jaw(self) -> dict[str, F64]:
        weight = self.deform._jaw[:, None].astype(np.float64)
        arm = (self.rest - JAW_AXIS).astype(np.float64)
        small, wide = self.moved(jaw_open=0.3), self.moved(jaw_open=0.6)
        aside = np.stack([-arm[:, 2], 0 * arm[:, 0], arm[:, 0]], 1) * weight * 0.03
        return {
            "jaw_open": small,
            "jaw_arc": 0.5 * (wide - 2 * small),
            "jaw_aside": aside,
            "jaw_forward": weight * np.array([0, 0, -1.2]),
        }

    def lips(self) -> Iterator[F64]:
        for name, amount in (
            ("lips_round", 0.5),
            ("lips_funnel", 0.45),
            ("lips_wide", 0.55),
            ("lower_tuck", 0.4),
            ("lips_press", 0.5),
            ("chin_raise", 0.5),
        ):
            yield self.moved(**{name: amount})
        ajar = self.moved(jaw_open=0.3)
        yield (self.moved(jaw_open=0.3, lips_close=1.0) - ajar) * 0.6
        yield self.moved(jaw_open=0.3, lips_round=0.5) - ajar - self.moved(lips_round=0.5)
        for name in ("upper_raise", "lower_drop", "frown", "dimple"):
            yield from self._halves(self.moved(**{name: 0.45}))
        yield self.moved(smile_left=0.5)
        yield self.moved(smile_right=0.5)
        yield from self._smooth_lips()

    def _smooth_lips(self) -> Iterator[F64]:
        phase = np.pi * np.arange(11) / 10
        for axis, size in ((0, 0.9), (1, 1.3), (2, 1.1)):
            for lip in (0, 1):
                for order in range(5):
                    move = np.zeros((4, 2, 11, 3), np.float32)
                    # The corners belong to both lips: what one lip does must fade there, or they tear.
                    fade = np.sin(phase) ** 0.5 if order % 2 == 0 else np.sin(phase) ** 0.3
                    move[:, lip, :, axis] = size / (1 + 0.4 * order) * np.cos(order * phase) * fade
                    yield self.deform._lip_field(move).astype(np.float64)
            for order in (0, 1):
                move = np.zeros((4, 2, 11, 3), np.float32)
                move[..., axis] = size * np.cos(order * phase)
                yield self.deform._lip_field(move).astype(np.float64)

    def split(self, moves: list[F64]) -> tuple[list[F64], list[F64]]:
        """The parts of moves that are the same, and the opposite, on both sides of the face."""
        mirror = figure().mirror[:468]
        flipped = [m[mirror] * np.array([-1, 1, 1]) for m in moves]
        even = [(m + f) / 2 for m, f in zip(moves, flipped, strict=True)]
        return even, [(m - f) / 2 for m, f in zip(moves, flipped, strict=True)]

    def lids(self) -> dict[str, F64]:
        return {"lid_left": self.moved(lid_left=0.5), "lid_right": self.moved(lid_right=0.5)}

    def lid_shapes(self, side: int) -> Iterator[F64]:
        """What is left of one eye when its lid's closing is set aside: side 0 is the person's right."""
        part = (
            self._halves(self.moved(lid_wide=0.6))[1 - side],
            self._halves(self.moved(lid_tighten=0.6))[1 - side],
        )
        yield from part
        eye = EYES[side]
        phase = np.pi * np.arange(9) / 8
        keep = np.setdiff1d(
            np.concatenate([np.unique(LIP_RINGS), np.concatenate(EYES[1 - side][:2]), *_BROWS, *_BROWS_LOW]),
            np.concatenate(eye[:2]),
        )
        for line in (eye.upper, eye.lower):
            for order in range(3):
                move = np.sin(phase) * np.cos(order * phase) * 0.7 / (1 + 0.5 * order)
                yield self._field(line, np.outer(move, [0, 1, 0]), keep, (eye.upper, eye.lower))

    def brows(self) -> Iterator[F64]:
        for name, amount in (("brow_inner_raise", 0.6), ("brow_outer_raise", 0.6), ("brow_lower", 0.6)):
            yield from self._halves(self.moved(**{name: amount}))
        keep = np.concatenate([np.concatenate(e[:2]) for e in EYES] + [np.unique(LIP_RINGS)])
        for top, low in zip(_BROWS, _BROWS_LOW, strict=True):
            for order in range(3):
                wave = 0.8 * np.cos(np.pi * order * np.arange(5) / 4)
                line = np.concatenate([top, low])
                yield self._field(line, np.outer(np.tile(wave, 2), [0, 1, 0]), keep, ())

    def cheeks(self) -> Iterator[F64]:
        for name in ("cheek_raise", "nose_wrinkle"):
            yield from self._halves(self.moved(**{name: 0.5}))
        cheeks = (np.array([50, 205, 207, 187]), np.array([280, 425, 427, 411]))
        keep = np.concatenate(
            [np.unique(LIP_RINGS), *[np.concatenate(e[:2]) for e in EYES], [1, 4, 6, 152, 10]]
        )
        for line in cheeks:
            puff = np.tile([np.sign(self.mean[line[0], 0]) * 1.5, 0, -1.5], (4, 1))
            yield self._field(line, puff, keep, ())

    def _field(
        self,
        line: NDArray[np.int64],
        move: F64,
        keep: NDArray[np.int64],
        rings: tuple[NDArray[np.int64], ...],
    ) -> F64:
        """Displacements of a line, spread smoothly while `keep` and the rest of `rings` stay."""
        still = np.setdiff1d(np.concatenate([keep, *rings]) if rings else keep, line)
        handles = np.concatenate([line, still])
        values = np.zeros((len(handles), 3))
        values[: len(line)] = move
        unique, first = np.unique(handles, return_index=True)
        return np.asarray(extend(self.mean, figure().triangles, unique) @ values[first], np.float64)
