"""Inside the mouth: teeth with gums, tongue, and the cavity behind the lips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.deformers import JAW_AXIS, jaw_rotation
from models.puppet.figure import LIP_RINGS
from models.puppet.mesh import grid_triangles

__all__ = [
    "CAVITY_ROWS",
    "cavity",
    "cavity_triangles",
    "teeth",
    "tongue",
    "tongue_neutral",
    "tooth_edges",
    "with_jaw",
]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_WIDTHS = np.array([8.4, 6.6, 7.6, 6.8, 6.6, 8.0])  # from the middle outwards, upper jaw
CAVITY_ROWS = 5


def tooth_edges(scale: float = 1.0) -> NDArray[np.float64]:
    half = np.concatenate([[0], np.cumsum(_WIDTHS * scale)])
    return np.concatenate([-half[:0:-1], half])


def teeth(upper: bool) -> tuple[F32, F32, I32]:
    """Points (V, 3), places (V, 2) along the arch and from gum (0) to edge (1), triangles."""
    edges = tooth_edges(1.0 if upper else 0.82)
    s = np.linspace(edges[0], edges[-1], 97)
    tooth = np.clip(np.searchsorted(edges, s, side="right") - 1, 0, len(edges) - 2)
    local = (s - edges[tooth]) / (edges[tooth + 1] - edges[tooth]) * 2 - 1
    rank = np.abs(tooth - (len(edges) - 1) / 2 + 0.5)
    t = np.array([-0.75, -0.3, 0.0, 0.12, 0.4, 0.75, 0.95, 1.0, 1.0])
    depth_in = np.array([0.9, 0.2, 0, -0.55, -0.75, -0.45, 0.0, 0.6, 3.0])
    # An arch that opens to the back: arc length s to a parabola-like curve.
    radius = 25.0 if upper else 23.0
    angle = s / radius
    x, z = radius * 0.86 * np.sin(angle), radius * 1.12 * (1 - np.cos(angle))
    length = np.where(rank < 1, 9.6, np.where(rank < 2, 8.4, np.where(rank < 3, 9.2, 7.6)))
    round_off = np.abs(local) ** 6 * 0.9
    dip = np.exp(-(((1 - np.abs(local)) / 0.12) ** 2)) * 0.55
    grow = length[None] * t[:, None] - round_off[None] * (t[:, None] > 0.8)
    y = 22.6 + grow if upper else 40.2 - grow * 0.93
    normal = np.stack([np.sin(angle), np.zeros_like(s), -np.cos(angle)], 1)
    out = -depth_in[:, None] - dip[None] * ((t > 0.05) & (t < 0.99))[:, None]
    base = np.stack([x, np.zeros_like(s), z + (-8.2 if upper else -5.6)], 1)
    points = base[None] + normal[None] * out[..., None]
    points[..., 1] = y
    places = np.stack(np.broadcast_arrays((s - s[0])[None] / (s[-1] - s[0]), t[:, None]), -1)
    order = grid_triangles(len(t), len(s))
    return (
        points.reshape(-1, 3).astype(np.float32),
        places.reshape(-1, 2).astype(np.float32),
        order[:, ::-1].copy() if upper else order,
    )


def tongue_neutral() -> tuple[F32, F32, I32]:
    """Tongue at rest: rows from root to tip, columns over the back and under."""
    along, around = np.meshgrid(np.linspace(0, 1, 13), np.linspace(0, 2 * np.pi, 17)[:-1], indexing="ij")
    width = 17.5 * np.sqrt(np.clip(1 - (np.clip(along - 0.35, 0, 1) / 0.67) ** 2.6, 0, 1))
    thick = 7.5 * np.clip(1.08 - along**2.4, 0.05, 1)
    x = width * np.cos(around)
    groove = 1.3 * np.exp(-((x / 3.5) ** 2)) * (np.sin(around) < 0) * (along < 0.92)
    y = 37.5 + thick * np.sin(around) + groove + 3.0 * (1 - along) - 2 * along
    z = 34 - 37.5 * along
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    places = np.stack([x / 36 + 0.5, along], -1).reshape(-1, 2)
    return (
        points.astype(np.float32),
        places.astype(np.float32),
        grid_triangles(13, 16, closed=True)[:, ::-1].copy(),
    )


def tongue(neutral: F32, jaw: float, up: float, out: float) -> F32:
    """The tongue in the mouth: rides on the jaw, tip lifted or put out."""
    along = np.clip((34 - neutral[:, 2]) / 37.5, 0, 1)[:, None]
    tip = along**2.2
    p = neutral + tip * np.float32([0, -11.0, -1.5]) * up + tip * np.float32([0, -6.0, -13.0]) * out
    # Up means up against the upper teeth, however far the jaw has dropped.
    return with_jaw(p, jaw) + (tip * up * jaw * np.float32([0, -13.0, 0])).astype(np.float32)


def with_jaw(points: F32, jaw: float) -> F32:
    return ((points - JAW_AXIS) @ jaw_rotation(jaw).T + JAW_AXIS).astype(np.float32)


def _loop() -> NDArray[np.int64]:
    upper, lower = LIP_RINGS[3]
    return np.concatenate([upper, lower[-2:0:-1]])


def cavity(landmarks: F32) -> F32:
    """A bag behind the inner lips: (CAVITY_ROWS, 20, 3) flattened, from the lips to the throat."""
    ring = landmarks[_loop()]
    share = np.concatenate([np.abs(np.arange(11) - 5), np.abs(np.arange(9) - 4)]) / 5
    sign = np.where(np.arange(20) < 11, -1.0, 1.0) * (1 - share**2)
    rows = [ring]
    for dy, dz, shrink in ((1.0, 3.0, 1.0), (8.0, 6.0, 1.02), (11.0, 26.0, 0.95)):
        rows.append(ring * np.float32([shrink, 1, 1]) + np.stack([0 * sign, sign * dy, np.full(20, dz)], 1))
    rows.append(np.broadcast_to(rows[-1].mean(0) + np.float32([0, 0, 22]), (20, 3)))
    return np.concatenate(rows).astype(np.float32)


def cavity_triangles() -> I32:
    return grid_triangles(CAVITY_ROWS, 20, closed=True)[:, ::-1].copy()
