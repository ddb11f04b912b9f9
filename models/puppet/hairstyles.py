"""Hairstyles: how sheets of strands lie over the mean skull, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.puppet.hairline import CENTRE, RADII, hairline
from models.puppet.identity import Traits

__all__ = ["STYLES", "Build", "Sheet"]

F32 = NDArray[np.float32]


@dataclass
class Sheet:
    """One layer: a grid (rows, columns) of points, and what varies over it."""

    points: F32  # (rows, columns, 3)
    across: F32  # (columns,) texture coordinate
    cut: F32  # (rows, columns)
    depth: F32
    solid: bool = False


@dataclass
class Build:
    who: Traits
    rng: np.random.Generator
    sheets: list[Sheet] = field(default_factory=list)


def _on_skull(directions: F32, lift: F32) -> F32:
    d = directions / np.linalg.norm(directions / RADII, axis=-1, keepdims=True)
    n = d / RADII**2
    return (CENTRE + d + lift[..., None] * n / np.linalg.norm(n, axis=-1, keepdims=True)).astype(np.float32)


def _around(
    count: int, low: Callable[[F32], F32], offset: F32, rows: int, *, crown: float = 35.0
) -> tuple[F32, F32, F32]:
    """Directions (rows, count, 3) from a lower border up to the crown, with azimuth and progress."""
    azimuth = np.linspace(-np.pi, np.pi, count)
    y = low(azimuth) + offset
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
    b: Build,
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
    low = border or partial(hairline, recede=recede)
    for layer in range(layers):
        inner = layer == 0
        jitter = _smooth_loop(b.rng, columns, 0.8 + 0.7 * layer)
        d, azimuth, t = _around(columns, low, jitter + 3.0, rows)
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
        b.sheets.append(Sheet(_on_skull(d, height), across, cut, depth, solid=inner))


def _over(
    b: Build, side: float, part: float, volume: float, layer: int, s: F32, rows: int
) -> tuple[F32, F32]:
    """Strands from the parting over one side of the skull (rows, columns, 3), and their final azimuths."""
    z = 17 + (138 - 17) * s**0.9
    x = part * (1 - s) + side * 1.5
    height = 1 - (x / RADII[0]) ** 2 - ((z - CENTRE[2]) / RADII[2]) ** 2
    root = np.stack([x, -RADII[1] * np.sqrt(np.clip(height, 0.02, 1)), z - CENTRE[2]], 1)
    azimuth = np.radians(60 + (180 - 60) * s**0.85)
    end = np.stack([side * np.sin(azimuth) * RADII[0], np.full(len(s), 22.0), -np.cos(azimuth) * RADII[2]], 1)
    t = np.linspace(0, 1, rows)[:, None]
    unit = root / RADII * (1 - t[..., None]) + end / RADII * t[..., None]
    # Front strands hug the hairline instead of crossing the forehead.
    unit[..., 1] -= 0.16 * np.sin(np.pi * t) * np.exp(-((s / 0.25) ** 2))
    unit[..., 2] += 0.16 * np.sin(np.pi * t) * np.exp(-((s / 0.3) ** 2))
    lift = volume * np.clip(0.25 + 2.2 * t, 0, 1) * (0.75 + 0.25 * np.sin(np.pi * s))
    lift = lift + 2.2 * (layer - 1) + b.rng.normal(0, 0.5, (rows, len(s)))
    return _on_skull((unit * RADII).astype(np.float32), np.maximum(lift, 2.0)), azimuth


def _hang(
    b: Build, drop: F32, side: float, azimuth: F32, s: F32, rows: int, form: tuple[float, float, float]
) -> F32:
    """Strands that fall from `drop` (columns, 3); form is (height where they end, inward curl, wave)."""
    length, curl, wave = form
    q = np.linspace(0, 1, rows + 1)[1:, None]
    reaches_shoulders = length > 90
    tip = length + b.rng.normal(0, 5, len(s)) - 12 * np.exp(-((s / 0.2) ** 2)) * (not reaches_shoulders)
    fall = np.repeat(drop[None], rows, 0)
    fall[..., 1] = drop[:, 1] + (tip - drop[:, 1]) * q
    inward = curl * q**2.2
    sway = wave * np.sin(q * 9 + b.rng.uniform(0, 6, len(s)) * 0.35 + s * 14) * q
    fall[..., 0] += sway - side * inward * np.clip(np.abs(np.sin(azimuth)), 0.3, 1)
    fall[..., 2] += 0.7 * sway + inward * 0.5 * np.cos(azimuth)
    if reaches_shoulders:
        fall[..., 0] += side * 7 * np.sin(np.pi * q)
        fall[..., 2] -= 16 * q * np.exp(-((s / 0.35) ** 2))
    return fall


def _parted(
    b: Build,
    length: float,
    curl: float,
    part: float,
    *,
    layers: int = 3,
    volume: float = 11.0,
    wave: float = 1.5,
) -> None:
    """Hair falling from a parting to both sides; `length` is the height y where it ends."""
    columns, bend, hang = 26, 11, 9
    s = np.linspace(0, 1, columns)
    progress = np.linspace(0, 1, bend + hang)[:, None]
    for layer in range(layers):
        for side in (-1.0, 1.0):
            over, azimuth = _over(b, side, part, volume, layer, s, bend)
            points = np.concatenate([over, _hang(b, over[-1], side, azimuth, s, hang, (length, curl, wave))])
            floor = 0.0 if layer == 0 else 0.26 + 0.16 * layer
            cut = _edges(progress, 0.03 if layer == 0 else 0.05, 0.22, floor)
            fringe = np.exp(-((s / 0.06) ** 2)) * (0.35 + 0.25 * layer) * np.clip(progress * 3, 0.3, 1)
            depth = (0.58 + 0.42 * layer / (layers - 1)) * np.clip(0.78 + 0.5 * progress, 0, 1)
            depth = depth * (0.85 + 0.15 * np.clip(s / 0.1, 0, 1))
            across = np.linspace(0, 2.6, columns) + 0.37 * layer + 0.5 * (side > 0)
            sheet = Sheet(points.astype(np.float32), across, np.maximum(cut, fringe), depth, layer == 0)
            b.sheets.append(sheet)


def _bun(b: Build, centre: tuple[float, float, float], radius: float) -> None:
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
            Sheet(
                points,
                np.linspace(0, 0.8, 11),
                cut,
                np.full(points.shape[:2], 0.75 + 0.2 * layer, np.float32),
                solid=layer == 0,
            )
        )


def _cropped(b: Build) -> None:
    _cap(b, lambda a, t: 3.0 + 2.6 * t + 0 * a, layers=3, spread=1.1, wave=0.2)


def _quiff(b: Build) -> None:
    def lift(a: F32, t: F32) -> F32:
        front = np.exp(-((a / 0.75) ** 2))
        return 4.5 + 5 * t**0.5 + front * 19 * np.exp(-(((t - 0.24) / 0.22) ** 2)) + 4 * front

    _cap(b, lift, layers=4, spread=2.0, wave=0.7)


def _side(b: Build) -> None:
    def lift(a: F32, t: F32) -> F32:
        sweep = np.exp(-(((a - 0.25) / 0.55) ** 2))
        return (
            5
            + 5 * t**0.5
            + sweep * 11 * np.exp(-(((t - 0.2) / 0.25) ** 2))
            - 4 * np.exp(-(((a + 0.5) / 0.1) ** 2)) * (t < 0.8)
        )

    _cap(b, lift, layers=4, spread=1.8, wave=0.6)


def _receding(b: Build) -> None:
    _cap(
        b,
        lambda a, t: 3.0 + 2.5 * np.abs(np.sin(a)) + 0 * t,
        recede=1.0,
        layers=3,
        spread=1.2,
        wave=0.4,
        thin=0.12,
    )


def _curly(b: Build) -> None:
    def border(a: F32) -> F32:
        m = np.abs(a)
        return np.where(m < 1.0, hairline(a, 0.0), np.interp(m, [1.0, 1.2, 1.45, np.pi], [-74, -20, 34, 44]))

    bumps = b.rng.normal(0, 1, (14, 72))
    bumps[:, -1] = bumps[:, 0]

    def lift(a: F32, t: F32) -> F32:
        side = 1 - 0.45 * np.exp(-((a / 0.5) ** 2))
        return side * 27 * np.clip(0.35 + 2.5 * t, 0, 1) * (1 - 0.2 * t) + 2.4 * bumps

    _cap(b, lift, layers=4, spread=3.4, wave=1.8, border=border, thin=0.06)


def _long(b: Build) -> None:
    _parted(b, 205, 8, part=10.0, volume=14, wave=2.6)


def _bob(b: Build) -> None:
    _parted(b, 66, 22, part=-16.0, volume=13, wave=0.8)


def _bunned(b: Build) -> None:
    _cap(b, lambda a, t: 4.0 + 3 * t + 0 * a, layers=3, spread=1.3, wave=0.25)
    _bun(b, (0, -148, 112), 25)


STYLES: dict[str, Callable[[Build], None]] = {
    "cropped": _cropped, "quiff": _quiff, "side": _side, "receding": _receding,
    "curly": _curly, "long": _long, "bob": _bob, "bun": _bunned,
}  # fmt: skip
