"""Makes the built-in model's data file: `python -m models.morphable.make [TARGET]`, about two minutes.

Nobody's face went into it: the mean is the puppet's figure, identity modes are the puppet's traits and
smooth functions on the surface, expression modes come from its rig, colours from its painter.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from models.morphable.making.colours import colours
from models.morphable.making.expressions import Rig
from models.morphable.making.modes import harmonics, principal, similarity, without
from models.morphable.making.surface import Surface, surface
from models.morphable.model import EXPRESSION, IDENTITY, TEXTURE
from models.puppet.figure import EYES, LIP_RINGS, RIM, figure
from models.puppet.identity import Traits, warp

__all__ = ["build"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

TRAITS = tuple(f.name for f in fields(Traits))[11:-1]
_COUNTS = {"lips": 34, "lids": 4, "brows": 8, "cheeks": 6}
_UNEVEN = 11  # of the modes of lips
_GAZE_MM = 2.2
# One camera hardly tells depth from a nod: what the traits do not say of depth is kept small.
_DEPTH = 0.15


def _identity(s: Surface, waves: F64) -> F64:
    """Modes (V, 3, 80): traits of made-up people and smooth changes, nothing that a head turn could do."""
    factors = []
    for name in TRAITS:
        low, high = (warp(s.mean, Traits(**{name: x})) for x in (-1.0, 1.0))
        factors.append(0.3 * (high - low).ravel())
    for k in range(1, waves.shape[1]):
        # Faces are nearly symmetric: what differs between the two sides is less likely.
        mirrored = _mirrored(s, waves[:, k])
        for axis, depth in enumerate((1.0, 1.0, _DEPTH)):
            even = (1 if axis else -1) * mirrored @ waves[:, k] / len(mirrored)
            size = depth * 1.2 / (1 + 0.4 * k) * (0.3 + 0.7 * max(even, 0.0))
            factors.append((size * np.outer(waves[:, k], np.eye(3)[axis])).ravel())
    return principal(without(np.stack(factors, 1), similarity(s.mean)), IDENTITY).reshape(-1, 3, IDENTITY)


def _mirrored(s: Surface, wave: F64) -> F64:
    """A function's value at the vertex nearest to each vertex's mirror image."""
    flipped = s.mean * np.float32([-1, 1, 1])
    near = ((flipped[:, None] - s.mean[None]) ** 2).sum(2).argmin(1)
    return np.asarray(wave[near])


def _expression(s: Surface) -> tuple[F64, list[str], list[str]]:
    rig = Rig()
    spread = s.spread.astype(np.float64)
    columns: list[F64] = []
    names: list[str] = []
    groups: list[str] = []

    def put(group: str, label: str, move: F64) -> None:
        columns.append(move.ravel())
        names.append(label)
        groups.append(group)

    def put_best(group: str, label: str, moves: list[F64], count: int, apart: list[F64]) -> None:
        factors = np.stack([(spread @ m).ravel() for m in moves], 1)
        if apart:
            factors = without(factors, np.stack([a.ravel() for a in apart], 1))
        for k, column in enumerate(principal(factors, count).T):
            put(group, f"{label}_{k}", column.reshape(-1, 3))

    for name, move in rig.jaw().items():
        put("jaw", name, spread @ move)
    # Even and uneven moves of the mouth are modes of their own: speech is even, and what a turned head does
    # to landmarks is not.
    even, uneven = rig.split(list(rig.lips()))
    put_best("lips", "lips", even, _COUNTS["lips"] - _UNEVEN, [])
    put_best("lips", "lips_uneven", uneven, _UNEVEN, [])
    shut = {name: spread @ move for name, move in rig.lids().items()}
    for name, move in shut.items():
        put("lids", name, move)
    for side, name in enumerate(("lid_right", "lid_left")):
        put_best("lids", f"{name}_shape", list(rig.lid_shapes(side)), _COUNTS["lids"], [shut[name]])
    put_best("brows", "brows", list(rig.brows()), _COUNTS["brows"], [])
    put_best("cheeks", "cheeks", list(rig.cheeks()), _COUNTS["cheeks"], [])
    for name, axis in (("gaze_x", [1.0, 0, 0]), ("gaze_y", [0, 1.0, 0])):
        put("gaze", name, _GAZE_MM * s.window[:, None] * np.array(axis))
    return np.stack(columns, 1).reshape(-1, 3, len(columns)), names, groups


def _trust() -> F32:
    """How much a landmark of the mesh is believed: lips and lids are drawn where they are seen, the outline
    of a face slides along it as the head turns, and irises hide behind lids."""
    out = np.ones(478, np.float32)
    out[RIM] = 0.2
    out[np.unique(LIP_RINGS)] = 6
    out[LIP_RINGS[:, 0][:, [0, 10]].ravel()] = 12
    out[np.concatenate([np.concatenate(eye[:2]) for eye in EYES])] = 4
    out[468:] = 0.2
    return out


def build(people: int = 160) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """Arrays and notes of the data file."""
    s = surface()
    waves = harmonics(s.mean, s.triangles, s.bridges, 70)
    expression, names, groups = _expression(s)
    if expression.shape[2] != EXPRESSION:
        raise ValueError(f"{expression.shape[2]} expression modes were made, not {EXPRESSION}")
    irises = figure().mean[[468, 473]]
    colour, texture = colours(s, irises, waves[:, :60], people, TEXTURE)
    arrays: dict[str, NDArray[np.generic]] = {
        "mean": s.mean,
        "identity": _identity(s, waves).astype(np.float16),
        "expression": expression.astype(np.float16),
        "colour": colour.astype(np.float32),
        "texture": texture.astype(np.float16),
        "triangles": s.triangles,
        "irises": figure().mean[468:478].astype(np.float32),
        "eyes": np.concatenate(s.eyes).astype(np.int32),
        "mirror": figure().mirror.astype(np.int32),
        "trust": _trust(),
    }
    notes = {
        "what": "a morphable face made from the puppet's figure, rig and painter; of no scan or photograph",
        "names": json.dumps(names),
        "groups": json.dumps(groups),
    }
    return arrays, notes


def main(target: Path) -> None:
    arrays, notes = build()
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, target, metadata=notes)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, {len(arrays['mean'])} vertices")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("builtin.safetensors"))
