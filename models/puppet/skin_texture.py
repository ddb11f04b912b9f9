"""The skin's texture: tone, blotches, pores, lips, brows, beard shadow, age lines. Baked once a person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.beard import beard_density
from models.puppet.figure import EYES, LIP_RINGS
from models.puppet.hairline import hairline
from models.puppet.identity import Traits
from models.puppet.paint import Canvas, blur, canvas, linear, noise, smoothstep

__all__ = ["HAIR_TONES", "SKIN_TONES", "skin_texture"]

F32 = NDArray[np.float32]

SKIN_TONES = {
    "pale": (230, 190, 170), "fair": (224, 178, 152), "light": (216, 166, 138), "rosy": (220, 162, 138),
    "golden": (212, 164, 124), "tan": (186, 132, 98), "brown": (146, 98, 70), "deep": (104, 67, 49),
}  # fmt: skip
LIP_TONES = {
    "pale": (196, 118, 112), "fair": (190, 108, 102), "light": (186, 100, 94), "rosy": (188, 88, 86),
    "golden": (178, 92, 82), "tan": (166, 78, 74), "brown": (124, 62, 58), "deep": (112, 50, 52),
}  # fmt: skip
HAIR_TONES = {
    "black": (24, 20, 19), "darkbrown": (46, 32, 24), "brown": (82, 55, 37), "auburn": (98, 48, 28),
    "ginger": (158, 82, 38), "blond": (190, 150, 98), "grey": (140, 136, 132), "silver": (196, 192, 186),
}  # fmt: skip


def _mix(base: F32, colour: F32, amount: F32) -> F32:
    return base + (colour - base) * amount[..., None]


def _tone(c: Canvas, who: Traits, rng: np.random.Generator) -> F32:
    shape = (c.side, c.side)
    base = linear(SKIN_TONES[who.skin])
    out = np.broadcast_to(base, (*shape, 3)).copy()
    wide = c.skin_noise(rng, 26) * 0.6 + c.skin_noise(rng, 9) * 0.4
    fine = c.skin_noise(rng, 2.6)
    out *= (1 + 0.035 * wide + 0.028 * fine)[..., None]
    out *= 1 + 0.03 * c.skin_noise(rng, 14)[..., None] * np.float32([0.6, -0.6, -1.0])
    red = c.skin_noise(rng, 6)
    flush = sum(c.blob((s * 44, 8), (19, 15)) for s in (-1, 1)) * 0.75
    flush = flush + c.blob((0, 2), (13, 10)) * 0.7 + c.blob((0, 77), (16, 9)) * 0.35
    flush = flush * (1 + 0.22 * red) + 0.06 * np.clip(red, 0, 3)
    bright = float(base.mean())
    out *= 1 + flush[..., None] * np.float32([0.03, -0.11, -0.10]) * (0.6 + bright)
    out *= 1 + 0.05 * c.blob((0, -74), (44, 22))[..., None] * np.float32([0.3, 0.4, -0.6])
    return out


def _eyes(c: Canvas, who: Traits, out: F32) -> F32:
    for e in EYES:
        ring = c.landmarks[np.concatenate([e.upper, e.lower[-2:0:-1]])]
        near = c.distance(ring, 16, closed=True)
        hollow = np.exp(-((near / 9.0) ** 2))
        out = out * (1 - hollow[..., None] * np.float32([0.11, 0.14, 0.12]))
        edge = np.exp(-((near / 1.5) ** 2))
        out = out * (1 - edge[..., None] * np.float32([0.22, 0.30, 0.28]))
        lid = c.region(np.concatenate([c.landmarks[e.upper], c.landmarks[e.crease][::-1]]), 2.0)
        shade = np.float32([0.18, 0.24, 0.19]) * (1.0 if who.sex == "female" else 0.35)
        out = out * (1 - lid[..., None] * shade)
        crease = np.exp(
            -((c.distance(c.landmarks[e.crease] * 0.55 + c.landmarks[e.upper[1:8]] * 0.45, 5) / 0.8) ** 2)
        )
        out = out * (1 - crease[..., None] * np.float32([0.22, 0.30, 0.28]))
        bag = np.exp(-((c.distance(c.landmarks[e.bag] + np.float32([0, 2.5]), 9) / 3.2) ** 2))
        out = out * (1 - bag[..., None] * np.float32([0.05, 0.09, 0.06]) * (0.6 + who.age / 40))
        inner = c.landmarks[e.upper[-1]]
        out = _mix(out, linear((176, 96, 88)), 0.75 * c.blob((inner[0], inner[1]), (1.6, 1.3)))
    return out


def _lips(c: Canvas, who: Traits, rng: np.random.Generator, out: F32, gloss: F32) -> tuple[F32, F32]:
    lm = c.landmarks
    outline = _round(np.concatenate([lm[LIP_RINGS[0, 0]], lm[LIP_RINGS[0, 1, -2:0:-1]]]))
    mask = c.region(outline, 1.1)
    tone = linear(LIP_TONES[who.skin])
    if who.sex == "female":
        made_up = linear((168, 52, 62)) * (0.6 + 0.6 * float(linear(SKIN_TONES[who.skin]).mean()))
        tone = tone * (1 - 0.75 * who.lip_colour) + made_up * 0.75 * who.lip_colour
    shape = (c.side, c.side)
    lines = noise(rng, shape, (20, 260)) * 0.055 + noise(rng, shape, (60, 60)) * 0.05
    inner = np.concatenate([lm[LIP_RINGS[3, 0]], lm[LIP_RINGS[3, 1, -2:0:-1]]])
    seam = np.exp(-((c.distance(inner, 5, closed=True) / 0.9) ** 2))
    lip = tone * (1 + lines[..., None]) * (1 - 0.24 * seam[..., None])
    strength = mask * (0.92 if who.sex == "female" else 0.85)
    out = _mix(out, lip, strength)
    rim = np.exp(-((c.distance(outline, 4, closed=True) / 1.0) ** 2)) * (1 - mask)
    out = out * (1 + 0.06 * rim[..., None])
    corners = sum(c.blob(tuple(lm[i]), (2.2, 1.6)) for i in (61, 291))
    out = out * (1 - 0.38 * corners[..., None])
    return out, gloss * (1 - mask) + mask * (0.55 + 0.4 * who.lip_colour) * (1 + 2.0 * lines)


def _round(polygon: F32) -> F32:
    """Chaikin corner cutting, twice."""
    for _ in range(2):
        after = np.roll(polygon, -1, 0)
        polygon = np.stack([polygon * 0.75 + after * 0.25, polygon * 0.25 + after * 0.75], 1).reshape(-1, 2)
    return polygon


_BROW_TOP = ([70, 63, 105, 66, 107], [300, 293, 334, 296, 336])
_BROW_LOW = ([46, 53, 52, 65, 55], [276, 283, 282, 295, 285])


def _brows(c: Canvas, who: Traits, rng: np.random.Generator, out: F32) -> F32:
    tone = linear(HAIR_TONES[who.hair])
    tone = tone * 0.75 if who.hair not in ("grey", "silver", "blond") else tone * 0.5
    count = int((260 if who.sex == "male" else 210) * (1 + 0.45 * who.brow))
    for top, low in zip(_BROW_TOP, _BROW_LOW, strict=True):
        a, b = c.landmarks[top], c.landmarks[low]
        thin = 0.5 * (1 - 0.24 * who.brow) * (0.15 if who.sex == "male" else 0.45)
        a, b = a + (b - a) * thin * 0.9, b + (a - b) * thin * 0.75
        t, v = rng.random(count) ** 0.9 * 4, rng.random(count)
        i = np.minimum(t.astype(int), 3)
        f = (t - i)[:, None]
        upper, lower = a[i] * (1 - f) + a[i + 1] * f, b[i] * (1 - f) + b[i + 1] * f
        outward = (a[i] - a[i + 1]) / np.linalg.norm(a[i] - a[i + 1], axis=1, keepdims=True)
        roots = lower + (upper - lower) * v[:, None] + rng.normal(0, 0.3, (count, 2))
        rise = np.where(v < 0.55, -1.0, 0.25)[:, None] * np.float32([0, 1]) * (0.4 + 0.2 * t[:, None])
        length = rng.uniform(3.5, 6.5, (count, 1)) * (0.75 + 0.25 * np.sin(np.pi * t / 4))[:, None]
        tips = roots + (outward + rise) * length * np.float32([1, 0.8])
        fade = np.clip(t * 1.3 + 0.35, 0, 1) * np.clip((4 - t) * 1.1 + 0.30, 0, 1)
        hair = c.hairs(
            roots.astype(np.float32),
            tips.astype(np.float32),
            np.zeros((count, 2), np.float32),
            (fade * rng.uniform(0.10, 0.30, count)).astype(np.float32),
        )
        body = c.region(np.concatenate([a, b[::-1]]), 2.2) * (0.30 + 0.08 * who.brow)
        head = 1 - 0.55 * np.exp(-(((c.x - a[-1, 0]) / 3.0) ** 2)) * (np.abs(c.y - a[-1, 1]) < 12)
        out = _mix(out, tone, np.clip(hair * 1.1 + body * head, 0, 0.93))
    return out


def _hollows(c: Canvas, out: F32) -> F32:
    for s in (-1, 1):
        hole = np.clip(1.3 * c.blob((s * 8.0, 12.6), (3.5, 1.45)), 0, 1)
        out = out * (1 - 0.93 * hole)[..., None] ** np.float32([1, 1.25, 1.25])
        wing = c.landmarks[[129, 102, 64] if s < 0 else [358, 331, 294]]
        out = out * (1 - 0.30 * np.exp(-((c.distance(wing, 6) / 1.5) ** 2)))[..., None] ** np.float32(
            [1, 1.3, 1.3]
        )
    return out


def _age(c: Canvas, who: Traits, rng: np.random.Generator) -> F32:
    """Height of the skin in tenths of a millimetre: folds and lines, deeper with age."""
    depth = np.clip((who.age - 22) / 40, 0.06, 1.1)
    height = np.zeros((c.side, c.side), np.float32)

    def line(points: F32, width: float, strength: float) -> None:
        nonlocal height
        d = c.distance(points, width * 4)
        height = (
            height
            - strength * np.exp(-((d / width) ** 2))
            + 0.5 * strength * np.exp(-((d / (2.4 * width)) ** 2))
        )

    lm = c.landmarks
    for nose, lip in (((129, 203, 206, 216), 212), ((358, 423, 426, 436), 432)):
        fold = lm[[*nose, lip]].copy()
        line(fold[:4], 1.8, 2.4 * depth + 0.5)
        line(lm[[61 if lip == 212 else 291, lip]] + np.float32([0, 3]), 1.4, 1.4 * depth)
    for k, y in enumerate((-72, -80, -88, -66)):
        x = np.linspace(-38, 38, 20)
        wave = y + 2.2 * np.sin(x / 13 + k) + rng.normal(0, 0.5, 20) - 0.0018 * x**2
        line(np.stack([x, wave], 1).astype(np.float32), 1.0, max(0.0, 1.5 * depth - 0.35 - 0.15 * k))
    for e in EYES:
        corner, sign = lm[e.upper[0]], np.sign(lm[e.upper[0], 0])
        for k in (-1, 0, 1):
            ray = corner + np.float32([[sign * 4, k * 2.0], [sign * 9, k * 4.6], [sign * 15, k * 7.5 + 1.5]])
            line(ray, 0.7, max(0.0, 1.3 * depth - 0.25))
        line(lm[e.bag] + np.float32([0, 3.5]), 1.3, max(0.0, 1.4 * depth - 0.1))
    for s in (-1, 1):
        line(np.float32([[s * 4, -62], [s * 5, -50]]), 0.9, max(0.0, 1.2 * depth - 0.3))
    return height


def _pores(c: Canvas, rng: np.random.Generator) -> F32:
    fine = c.skin_noise(rng, 0.6)
    small = c.skin_noise(rng, 1.2)
    zone = 0.45 + 0.55 * (c.blob((0, 0), (30, 26)) + c.blob((0, -70), (40, 18)) + c.blob((0, 66), (20, 14)))
    return (0.22 * fine + 0.32 * small) * np.clip(zone, 0, 1.1)


def _stubble(c: Canvas, who: Traits, rng: np.random.Generator, out: F32) -> F32:
    """Beard shadow and short hairs; a full beard grows on top of it."""
    if who.sex != "male":
        return out
    mask = beard_mask(c)
    # A dark moustache over bare lips reads as a second mouth.
    mask = mask * (0.3 + 0.7 * smoothstep(c.position[..., 1], 30, 38))
    away = np.hypot(c.position[..., 0] / 30, (c.position[..., 1] - 31.5) / 14)
    mask = mask * (0.3 + 0.7 * smoothstep(away, 0.95, 1.45))
    grown = {"none": 0.20, "stubble": 0.55, "beard": 0.9, "full": 1.0}[who.beard]
    tone = linear(HAIR_TONES[who.hair])
    shadow = tone * 0.5 + linear(SKIN_TONES[who.skin]) * 0.22
    out = _mix(
        out,
        shadow,
        mask
        * grown
        * (0.42 if who.beard != "none" else 0.5)
        * (0.75 if who.hair in ("grey", "ginger") else 1),
    )
    if who.beard == "none":
        return out
    count = {"stubble": 9000, "beard": 16000, "full": 16000}[who.beard]
    at = rng.integers(0, c.side, (count * 3, 2))
    keep = rng.random(count * 3) < mask[at[:, 1], at[:, 0]]
    roots = np.stack([c.x[0][at[keep, 0]], c.y[:, 0][at[keep, 1]]], 1)[:count]
    size = 1.4 if who.beard == "stubble" else 4.2
    lean = np.stack([roots[:, 0] * 0.006, np.ones(len(roots))], 1) + rng.normal(0, 0.28, (len(roots), 2))
    tips = roots + lean * size * rng.uniform(0.6, 1.2, (len(roots), 1))
    hair = c.hairs(
        roots.astype(np.float32),
        tips.astype(np.float32),
        np.zeros_like(roots, np.float32),
        rng.uniform(0.04, 0.16, len(roots)).astype(np.float32),
    )
    return _mix(out, tone * 0.8, np.clip(hair, 0, 0.85) * np.clip(mask * 2, 0, 1))


def beard_mask(c: Canvas) -> F32:
    """Where a beard grows on the chart."""
    lips = c.region(
        np.concatenate([c.landmarks[LIP_RINGS[0, 0]], c.landmarks[LIP_RINGS[0, 1, -2:0:-1]]]), 1.2
    )
    return np.where(c.position[..., 0] > 1e3, 0, beard_density(c.position) * (1 - lips)).astype(np.float32)


def _freckles(c: Canvas, who: Traits, rng: np.random.Generator, out: F32) -> F32:
    count = int(700 * who.freckles) + 14
    at = np.stack([rng.normal(0, 34, count), rng.normal(2, 17, count)], 1).astype(np.float32)
    spots = blur(c.splat(at, rng.uniform(0.3, 1.0, count).astype(np.float32)), 1.1 * c.side / 1024) * 7
    return out * (1 - np.clip(spots, 0, 1)[..., None] * np.float32([0.18, 0.30, 0.36]))


def _scalp(c: Canvas, who: Traits, rng: np.random.Generator, out: F32) -> F32:
    p = c.position
    azimuth = np.arctan2(p[..., 0], 88 - p[..., 2])
    ragged = c.skin_noise(rng, 3.0) * 2.0
    depth = hairline(azimuth, 1.0 if who.style == "receding" else 0.0) - p[..., 1] + ragged
    cover = smoothstep(depth, -5, 9) * (p[..., 0] < 1e3) * (0.55 if who.style == "receding" else 0.92)
    return _mix(out, linear(HAIR_TONES[who.hair]) * 0.8, cover)


def skin_texture(who: Traits, seed: int, side: int, light_xy: tuple[float, float]) -> F32:
    """(side, side, 4): linear albedo and gloss. Fine relief is baked in as light from `light_xy`."""
    c = canvas(side)
    rng = np.random.default_rng([seed, 0x5C1A])
    out = _tone(c, who, rng)
    out = _freckles(c, who, rng, out)
    out = _eyes(c, who, out)
    out = _hollows(c, out)
    out = _stubble(c, who, rng, out)
    gloss = (
        0.30
        + 0.30 * c.blob((0, 0), (11, 24))
        + 0.22 * c.blob((0, -72), (34, 18))
        + 0.12 * c.blob((0, 62), (14, 10))
    )
    gloss = gloss + 0.12 * sum(c.blob((s * 40, -8), (14, 10)) for s in (-1, 1))
    out, gloss = _lips(c, who, rng, out, gloss)
    out = _brows(c, who, rng, out)
    out = _scalp(c, who, rng, out)
    pores = _pores(c, rng)
    relief = _age(c, who, rng) + 0.55 * pores
    per_mm = c.side / (2 * CHART_MM)
    dy, dx = np.gradient(relief)
    tilt = -(dx * light_xy[0] * per_mm[0] + dy * light_xy[1] * per_mm[1])
    out = (
        out
        * np.clip(1 + 0.16 * np.clip(tilt, -2.2, 2.2) + 0.05 * np.clip(relief, -3, 1), 0.5, 1.4)[..., None]
    )
    gloss = np.clip(gloss * (1 + 0.55 * pores + 0.15 * relief), 0, 1)
    gloss = gloss * (0.62 if who.skin in ("deep", "brown") else 1.0)
    return np.concatenate([np.clip(out, 0, 1), gloss[..., None]], -1).astype(np.float32)


CHART_MM = np.array([158, 132], np.float32)
