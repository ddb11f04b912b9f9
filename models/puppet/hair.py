"""Hair: sheets of strands grown over the skull in several styles, each in a few ragged layers.

A sheet is a grid whose rows run along the strands. The texture's alpha cuts it into strands: nearly
closed in the middle, torn at the hairline and at the tips, more in the outer layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.puppet.figure import figure
from models.puppet.hairline import CENTRE, RADII, hairline
from models.puppet.head import skin, skull_rings
from models.puppet.identity import Traits, warp
from models.puppet.mesh import grid_triangles, normals

__all__ = ["Hair", "hair"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Hair:
    """Strand sheets as one mesh; `solid` are the triangles that cast shadows on the head."""

    points: F32  # (V, 3)
    normals: F32  # (V, 3)
    tangents: F32  # (V, 3) along the strands
    places: F32  # (V, 2) across and along the strands, 0..1
    cut: F32  # (V,) fragments whose alpha is below this are dropped
    depth: F32  # (V,) darkening: 1 outside, less under other hair
    fall: F32  # (V,) share that stays with the shoulders
    triangles: I32
    solid: I32


@dataclass
class _Sheet:
    """One layer: a grid (rows, columns) of points, and what varies over it."""

    points: F32  # (rows, columns, 3)
    across: F32  # (columns,) texture coordinate
    cut: F32  # (rows, columns)
    depth: F32
    closed: bool = False
    solid: bool = False


@dataclass
class _Build:
    who: Traits
    rng: np.random.Generator
    sheets: list[_Sheet] = field(default_factory=list)


def _on_skull(directions: F32, lift: F32) -> F32:
    d = directions / np.linalg.norm(directions / RADII, axis=-1, keepdims=True)
    n = d / RADII**2
    return (CENTRE + d + lift[..., None] * n / np.linalg.norm(n, axis=-1, keepdims=True)).astype(np.float32)


def _around(count: int, low: Callable[[F32], F32], rows: int, *, crown: float = 35.0) -> tuple[F32, F32, F32]:
    """Directions (rows, count, 3) from a lower border up to the crown, with azimuth and progress."""
    azimuth = np.linspace(-np.pi, np.pi, count)
    y = low(azimuth)
    e = np.arcsin(np.clip((y - CENTRE[1]) / RADII[1], -0.99, 0.99))
    start = np.stack(
        [
            np.cos(e) * np.sin(azimuth) * RADII[0],
            np.sin(e) * RADII[1],
            -np.cos(e) * np.cos(azimuth) * RADII[2],
        ],
        -1,
    )
    top = np.array([0, -RADII[1], crown])
    t = np.linspace(0, 1, rows)[:, None, None]
    unit = start / RADII * (1 - t) + top / RADII * t
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    return (unit * RADII).astype(np.float32), azimuth.astype(np.float32), t[..., 0].astype(np.float32)


def _smooth_loop(rng: np.random.Generator, count: int, size: float) -> F32:
    """Soft random values around a closed border."""
    raw = rng.normal(0, 1, count)
    soft = sum(np.roll(raw, k) * np.exp(-0.5 * (k / 2.0) ** 2) for k in range(-5, 6)) / 1.9
    soft[-1] = soft[0]
    return (size * soft).astype(np.float32)


def _edges(t: F32, root: float, tip: float, floor: float) -> F32:
    """Alpha cut along a strand: torn at the root, closed, torn at the tip."""
    at_root = np.clip(1 - t / max(root, 1e-6), 0, 1) ** 1.3 * 0.9
    at_tip = np.clip((t - 1 + tip) / max(tip, 1e-6), 0, 1) ** 1.2 * 0.95
    return np.maximum(floor, np.maximum(at_root, at_tip)).astype(np.float32)


def _cap(
    b: _Build,
    lift: Callable[[F32, F32], F32],
    *,
    recede: float = 0.0,
    layers: int = 3,
    spread: float = 2.0,
    wave: float = 0.6,
    border: Callable[[F32], F32] | None = None,
    thin: float = 0.0,
    rows: int = 14,
) -> None:
    """Short hair from the hairline to the crown; `lift` gives its height over azimuth and progress."""
    columns = 72
    for layer in range(layers):
        inner = layer == 0
        jitter = _smooth_loop(b.rng, columns, 0.8 + 0.7 * layer)
        low = border or (lambda a: hairline(a, recede))
        d, azimuth, t = _around(columns, lambda a, j=jitter: low(a) + 3.0 + j, rows)
        height = lift(azimuth[None], t) + spread * (layer - (layers - 1) / 2)
        ripple = wave * (
            _smooth_loop(b.rng, columns, 1.0)[None] * (0.4 + t) + 0.5 * b.rng.normal(0, 1, (rows, 1))
        )
        height = np.maximum(height * np.clip(t / 0.10 + 0.12, 0, 1) ** 0.8 + ripple, 0.6 + 0.5 * layer)
        floor = 0.0 if inner else 0.30 + 0.16 * layer
        cut = np.broadcast_to(_edges(t, 0.11 if inner else 0.17, 0.0, floor + thin), height.shape)
        depth = np.broadcast_to(
            (0.62 + 0.38 * layer / max(layers - 1, 1)) * (0.72 + 0.28 * np.clip(t / 0.2, 0, 1)), height.shape
        )
        across = np.linspace(0, 6, columns) + 0.31 * layer
        b.sheets.append(_Sheet(_on_skull(d, height), across, cut, depth, solid=inner))


def _parted(
    b: _Build,
    length: float,
    curl: float,
    part: float,
    *,
    layers: int = 3,
    volume: float = 11.0,
    wave: float = 1.5,
) -> None:
    """Hair falling from a parting to both sides; `length` is the height y where it ends."""
    rows, columns, bend = 20, 26, 11
    for layer in range(layers):
        for side in (-1.0, 1.0):
            s = np.linspace(0, 1, columns)
            z = 17 + (138 - 17) * s**0.9
            x = part * (1 - s) + side * 1.5
            root = np.stack([x, np.full(columns, -60.0), z - CENTRE[2]], 1)
            y_on = -RADII[1] * np.sqrt(
                np.clip(1 - (x / RADII[0]) ** 2 - ((z - CENTRE[2]) / RADII[2]) ** 2, 0.02, 1)
            )
            root[:, 1] = y_on
            azimuth = np.radians(60 + (180 - 60) * s**0.85)
            end = np.stack(
                [side * np.sin(azimuth) * RADII[0], np.full(columns, 22.0), -np.cos(azimuth) * RADII[2]], 1
            )
            t = np.linspace(0, 1, bend)[:, None, None]
            unit = root / RADII * (1 - t) + end / RADII * t
            # Front strands hug the hairline instead of crossing the forehead.
            unit[..., 1] -= 0.16 * np.sin(np.pi * t[..., 0]) * np.exp(-((s / 0.25) ** 2))
            unit[..., 2] += 0.16 * np.sin(np.pi * t[..., 0]) * np.exp(-((s / 0.3) ** 2))
            lift = volume * np.clip(0.25 + 2.2 * t[..., 0], 0, 1) * (0.75 + 0.25 * np.sin(np.pi * s))
            lift = lift + 2.2 * (layer - 1) + b.rng.normal(0, 0.5, (bend, columns))
            over = _on_skull((unit * RADII).astype(np.float32), np.maximum(lift, 2.0))
            over = over
            drop = over[-1]
            q = np.linspace(0, 1, rows - bend + 1)[1:, None]
            tip = length + b.rng.normal(0, 5, columns) - 12 * np.exp(-((s / 0.2) ** 2)) * (length < 90)
            fall = np.repeat(drop[None], rows - bend, 0)
            fall[..., 1] = drop[:, 1] + (tip - drop[:, 1]) * q
            inward = curl * q**2.2
            fall[..., 0] -= side * inward * np.clip(np.abs(np.sin(azimuth)), 0.3, 1)
            fall[..., 0] += side * 7 * np.sin(np.pi * q) * (length > 90)
            fall[..., 2] -= 16 * q * np.exp(-((s / 0.35) ** 2)) * (length > 90)
            fall[..., 2] += inward * 0.5 * np.cos(azimuth)
            sway = wave * np.sin(q * 9 + b.rng.uniform(0, 6, columns) * 0.35 + s * 14 + layer) * q
            fall[..., 0] += sway
            fall[..., 2] += 0.7 * sway
            points = np.concatenate([over, fall])
            progress = np.linspace(0, 1, rows)[:, None]
            floor = 0.0 if layer == 0 else 0.26 + 0.16 * layer
            cut = np.broadcast_to(
                _edges(progress, 0.03 if layer == 0 else 0.05, 0.22, floor), (rows, columns)
            ).copy()
            fringe = np.exp(-((s / 0.06) ** 2)) * (0.35 + 0.25 * layer)
            cut = np.maximum(cut, np.broadcast_to(fringe, cut.shape) * np.clip(progress * 3, 0.3, 1))
            depth = (0.58 + 0.42 * layer / (layers - 1)) * np.clip(0.78 + 0.5 * progress, 0, 1)
            depth = np.broadcast_to(depth * (0.85 + 0.15 * np.clip(s / 0.1, 0, 1)), (rows, columns))
            across = np.linspace(0, 2.6, columns) + 0.37 * layer + 0.5 * (side > 0)
            b.sheets.append(_Sheet(points.astype(np.float32), across, cut, depth, solid=layer == 0))


def _bun(b: _Build, centre: tuple[float, float, float], radius: float) -> None:
    turn, rise = np.linspace(0, 2 * np.pi, 20), np.linspace(0.04, np.pi - 0.04, 11)
    for layer in range(2):
        r = radius + 1.6 * layer + b.rng.normal(0, 0.5, (11, 20))
        r[:, -1] = r[:, 0]
        shape = np.stack(
            [
                np.sin(rise)[:, None] * np.cos(turn),
                -np.cos(rise)[:, None] * np.ones(20) * 0.85,
                np.sin(rise)[:, None] * np.sin(turn),
            ],
            -1,
        )
        # Strands wind around the bun: rows and columns change places.
        points = (np.asarray(centre) + r[..., None] * shape).astype(np.float32).transpose(1, 0, 2)
        cut = np.full(points.shape[:2], 0.0 if layer == 0 else 0.5, np.float32)
        b.sheets.append(
            _Sheet(
                points,
                np.linspace(0, 0.8, 11),
                cut,
                np.full(points.shape[:2], 0.75 + 0.2 * layer, np.float32),
                solid=layer == 0,
            )
        )


def _cropped(b: _Build) -> None:
    _cap(b, lambda a, t: 3.0 + 2.6 * t + 0 * a, layers=3, spread=1.1, wave=0.2)


def _quiff(b: _Build) -> None:
    def lift(a: F32, t: F32) -> F32:
        front = np.exp(-((a / 0.75) ** 2))
        return 4.5 + 5 * t**0.5 + front * 19 * np.exp(-(((t - 0.24) / 0.22) ** 2)) + 4 * front

    _cap(b, lift, layers=4, spread=2.0, wave=0.7)


def _side(b: _Build) -> None:
    def lift(a: F32, t: F32) -> F32:
        sweep = np.exp(-(((a - 0.25) / 0.55) ** 2))
        return (
            5
            + 5 * t**0.5
            + sweep * 11 * np.exp(-(((t - 0.2) / 0.25) ** 2))
            - 4 * np.exp(-(((a + 0.5) / 0.1) ** 2)) * (t < 0.8)
        )

    _cap(b, lift, layers=4, spread=1.8, wave=0.6)


def _receding(b: _Build) -> None:
    _cap(
        b,
        lambda a, t: 3.0 + 2.5 * np.abs(np.sin(a)) + 0 * t,
        recede=1.0,
        layers=3,
        spread=1.2,
        wave=0.4,
        thin=0.12,
    )


def _curly(b: _Build) -> None:
    def border(a: F32) -> F32:
        m = np.abs(a)
        return np.where(m < 1.0, hairline(a, 0.0), np.interp(m, [1.0, 1.2, 1.45, np.pi], [-74, -20, 34, 44]))

    bumps = b.rng.normal(0, 1, (14, 72))
    bumps[:, -1] = bumps[:, 0]

    def lift(a: F32, t: F32) -> F32:
        side = 1 - 0.45 * np.exp(-((a / 0.5) ** 2))
        return side * 27 * np.clip(0.35 + 2.5 * t, 0, 1) * (1 - 0.2 * t) + 2.4 * bumps

    _cap(b, lift, layers=4, spread=3.4, wave=1.8, border=border, thin=0.06)


def _long(b: _Build) -> None:
    _parted(b, 205, 8, part=10.0, volume=11)


def _bob(b: _Build) -> None:
    _parted(b, 66, 22, part=-16.0, volume=13, wave=0.8)


def _bunned(b: _Build) -> None:
    _cap(b, lambda a, t: 4.0 + 3 * t + 0 * a, layers=3, spread=1.3, wave=0.25)
    _bun(b, (0, -148, 112), 25)


_STYLES: dict[str, Callable[[_Build], None]] = {
    "cropped": _cropped, "quiff": _quiff, "side": _side, "receding": _receding,
    "curly": _curly, "long": _long, "bob": _bob, "bun": _bunned,
}  # fmt: skip


def _oriented(points: F32, triangles: I32) -> tuple[F32, I32]:
    """Normals that point away from the skull's middle, and triangles turned to match."""
    n = normals(points, triangles)
    if (n * (points - CENTRE)).sum() < 0:
        return -n, triangles[:, ::-1].copy()
    return n, triangles


@lru_cache(maxsize=1)
def _scalp() -> tuple[F32, F32]:
    """Directions from the skull's middle to the skin, and distances, on the mean head."""
    shape, mean = skin(), figure().mean[:468]
    face = shape.face @ mean
    rim = face[shape.rim]
    p = np.concatenate([face, shape.loft @ np.concatenate([rim, skull_rings(len(rim)).reshape(-1, 3)])])
    ray = p - CENTRE
    far = np.linalg.norm(ray, axis=1)
    return (ray / far[:, None]).astype(np.float32), far.astype(np.float32)


def _above_skin(points: F32) -> F32:
    """Lift hair that the skull's ellipsoid left under the skin; hanging hair is left alone."""
    rays, far = _scalp()
    ray = points - CENTRE
    reach = np.linalg.norm(ray, axis=1)
    unit = ray / reach[:, None]
    near = np.argsort(unit @ rays.T, axis=1)[:, -4:]
    skin_reach = far[near].max(1) + 1.2
    short = (reach < skin_reach) & (points[:, 1] < 40) & (reach > skin_reach - 14)
    out = points.copy()
    out[short] = CENTRE + unit[short] * skin_reach[short, None]
    return out


def hair(who: Traits, seed: int) -> Hair:
    """The hair of a person, warped with the head it grows on."""
    build = _Build(who, np.random.default_rng([seed, 0x4A12]))
    _STYLES[who.style](build)
    out: dict[str, list[NDArray[np.generic]]] = {
        k: [] for k in ("p", "n", "t", "uv", "cut", "depth", "tri", "solid")
    }
    count = 0
    for sheet in build.sheets:
        rows, columns = sheet.points.shape[:2]
        points = warp(_above_skin(sheet.points.reshape(-1, 3)), who)
        n, triangles = _oriented(points, grid_triangles(rows, columns))
        along = np.gradient(points.reshape(rows, columns, 3), axis=0).reshape(-1, 3)
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        u = np.broadcast_to(sheet.across[None], (rows, columns))
        v = np.broadcast_to(np.linspace(0.02, 0.98, rows)[:, None], (rows, columns))
        for key, value in (("p", points), ("n", n), ("t", along), ("uv", np.stack([u, v], -1).reshape(-1, 2)),
                           ("cut", sheet.cut.reshape(-1)), ("depth", sheet.depth.reshape(-1)), ("tri", triangles + count)):  # fmt: skip
            out[key].append(value)
        if sheet.solid:
            out["solid"].append(triangles + count)
        count += len(points)
    joined = {k: np.concatenate(v) for k, v in out.items()}
    f = {k: joined[k].astype(np.float32) for k in ("p", "n", "t", "uv", "cut", "depth")}
    fall = np.clip((f["p"][:, 1] - 30) / 120, 0, 1) ** 1.2
    return Hair(
        f["p"],
        f["n"],
        f["t"],
        f["uv"],
        f["cut"],
        f["depth"],
        fall.astype(np.float32),
        joined["tri"].astype(np.int32),
        joined["solid"].astype(np.int32),
    )
