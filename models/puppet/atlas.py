"""One texture for the whole head: skin on the left, a strip with eyes, teeth, mouth and hair on its right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.identity import Traits
from models.puppet.mouth import tooth_edges
from models.puppet.paint import linear, noise, smoothstep
from models.puppet.skin_texture import HAIR_TONES, skin_texture

__all__ = ["EYE", "FUZZ", "HAIR", "LASH", "MOUTH", "SKIN", "TEETH", "build_atlas", "place"]

F32 = NDArray[np.float32]

# Regions as (x, y, width, height) in units of the skin texture's side.
SKIN = (0.0, 0.0, 1.0, 1.0)
EYE = (1.0, 0.0, 0.25, 0.25)
TEETH = (1.0, 0.25, 0.25, 0.125)
MOUTH = (1.0, 0.375, 0.125, 0.0625)
LASH = (1.125, 0.375, 0.125, 0.0625)
FUZZ = (1.0, 0.4375, 0.25, 0.0625)
HAIR = (1.0, 0.5, 0.25, 0.5)

_IRIS = {
    "brown": ((98, 58, 30), (58, 32, 18)), "darkbrown": ((62, 38, 24), (34, 20, 14)),
    "hazel": ((132, 96, 48), (76, 84, 50)), "green": ((104, 122, 74), (62, 88, 70)),
    "blue": ((108, 142, 172), (58, 88, 124)), "grey": ((132, 142, 146), (82, 94, 104)),
}  # fmt: skip


def place(uv: F32, region: tuple[float, float, float, float], side: int, *, wrap: bool = False) -> F32:
    """0..1 inside a region to texels of the atlas, half a texel inside its border.

    With `wrap`, places beyond 1 fold back like a mirror, so that a sheet may be wider than the region.
    """
    x, y, w, h = region
    inside = np.clip(uv, 0, 1)
    if wrap:
        inside[:, 0] = 1 - np.abs(uv[:, 0] % 2 - 1)
    inner = inside * (np.float32([w, h]) * side - 1.02) + 0.51
    return (inner + np.float32([x, y]) * side).astype(np.float32)


def _grid(region: tuple[float, float, float, float], side: int) -> tuple[F32, F32]:
    w, h = round(region[2] * side), round(region[3] * side)
    return tuple(np.meshgrid((np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h))  # type: ignore[return-value]


def _eye(who: Traits, rng: np.random.Generator, side: int) -> F32:
    u, v = (2 * c - 1 for c in _grid(EYE, side))
    r = np.hypot(u, v) * 1.15 / 0.42
    turn = np.arctan2(v, u)
    fibre = sum(
        np.cos(k * turn + rng.uniform(0, 6) + 2 * r * rng.normal()) / k**0.4 for k in (17, 23, 31, 43, 57)
    )
    inner, outer = (0.72 * linear(c) for c in _IRIS[who.eyes])
    blend = smoothstep(r + 0.05 * fibre, 0.40, 0.85)[..., None]
    iris = (inner * (1 - blend) + outer * blend) * (1 + 0.16 * fibre[..., None])
    iris = iris * (1 - 0.55 * smoothstep(r, 0.84, 1.02)[..., None])
    iris = iris * (1 + 0.30 * np.clip(v, -1, 1)[..., None] * 2.2)
    iris = iris * smoothstep(r, 0.34, 0.42)[..., None] + 0.004
    shape = u.shape
    veins = np.clip(noise(rng, shape, (24, 24)) * noise(rng, shape, (50, 50)), 0, 3)
    white = linear((208, 200, 194)) * (
        1 - smoothstep(r, 1.1, 2.9)[..., None] * np.float32([0.18, 0.34, 0.36])
    )
    white = white * (1 - 0.06 * (veins * smoothstep(r, 1.4, 2.6))[..., None] * np.float32([0.4, 1.5, 1.5]))
    out = iris + (white - iris) * smoothstep(r, 0.97, 1.10)[..., None]
    return np.concatenate([np.clip(out, 0, 1), np.ones((*shape, 1))], -1)


def _teeth(who: Traits, rng: np.random.Generator, side: int) -> F32:
    u, v = _grid(TEETH, side)
    t = v * 1.75 - 0.75
    edges = tooth_edges()
    gap = np.min(np.abs(u[..., None] - (edges - edges[0]) / (edges[-1] - edges[0])), axis=-1) * (
        edges[-1] - edges[0]
    )
    enamel = (
        linear((240, 232, 214))
        * (1 - 0.0022 * max(who.age - 25, 0))
        * np.float32([1, 1, 1 - 0.002 * max(who.age - 20, 0)])
    )
    tone = enamel * (0.86 + 0.14 * smoothstep(t, 0.0, 0.5))[..., None]
    tone = tone * (1 - np.exp(-((gap / 0.32) ** 2)) * 0.50)[..., None] * np.float32([1, 0.97, 0.93])
    tone = tone * (1 - 0.10 * smoothstep(t, 0.86, 1.0))[..., None]
    gum = linear((186, 98, 96)) * (0.8 + 0.1 * noise(rng, u.shape, (12, 40)))[..., None]
    scallop = 0.13 * np.clip(gap / 3.4, 0, 1) ** 0.7
    out = gum + (tone - gum) * smoothstep(t + scallop, 0.08, 0.15)[..., None]
    return np.concatenate([np.clip(out, 0, 1), np.full((*u.shape, 1), 0.9)], -1)


def _mouth(rng: np.random.Generator, side: int) -> F32:
    u, _ = _grid(MOUTH, side)
    bumps = noise(rng, u.shape, (40, 40))
    tone = linear((190, 96, 92)) * (1 + 0.10 * bumps)[..., None]
    tone = tone * (1 - 0.35 * np.exp(-(((u - 0.5) / 0.05) ** 2)))[..., None]
    return np.concatenate([np.clip(tone, 0, 1), (0.5 + 0.2 * bumps)[..., None]], -1)


def _strands(u: F32, rng: np.random.Generator, count: int) -> tuple[F32, F32]:
    """Strand brightness and height of many thin strands along v."""
    tall = np.float32(0.012) * noise(rng, u.shape, (5, 6))
    column = ((u + tall) % 1 * count).astype(int) % count
    tone = rng.normal(0, 1, count)[column] * 0.6 + noise(rng, u.shape, (3, count // 2)) * 0.5
    reach = rng.random(count)[column]
    return tone.astype(np.float32), reach.astype(np.float32)


def _hair(who: Traits, rng: np.random.Generator, side: int) -> F32:
    """Strands run down the region; the fourth channel is how far out a strand still is opaque."""
    u, _ = _grid(HAIR, side)
    if who.style in ("cropped", "curly"):
        return _coils(who, rng, u.shape)
    count = max(u.shape[1] * 4 // 9, 8)  # finer strands than two texels would only glitter
    tone, reach = _strands(u, rng, count)
    clump = noise(rng, u.shape, (2, 22))
    base = linear(HAIR_TONES[who.hair])
    value = 1 + 0.22 * tone + 0.10 * clump
    warm = 1 + np.float32([0.05, 0.0, -0.05]) * noise(rng, u.shape, (2, 30))[..., None]
    if who.hair == "grey":
        warm = (
            warm
            * (1 + 0.45 * np.clip(rng.normal(0, 1, count)[(u * count).astype(int) % count], -1, 1))[..., None]
        )
    out = base * np.clip(value, 0.45, 1.8)[..., None] * warm
    alpha = np.clip(0.80 * reach + 0.08 + 0.12 * clump + 0.08 * noise(rng, u.shape, (12, count // 2)), 0, 1)
    return np.concatenate([np.clip(out, 0, 1), alpha[..., None]], -1)


def _coils(who: Traits, rng: np.random.Generator, shape: tuple[int, ...]) -> F32:
    """Tight curls: ridges of noise instead of strands."""
    h, w = shape
    grain = 7 if who.style == "curly" else 3
    cells = (max(h // grain, 4), max(w // grain, 4))
    ridge = 1 - np.abs(noise(rng, (h, w), cells))
    fine = noise(rng, (h, w), (h // 2, w // 2))
    value = 0.85 + 0.55 * np.clip(ridge, -0.8, 1) + 0.12 * fine
    tone = linear(HAIR_TONES[who.hair]) * np.clip(value, 0.3, 1.7)[..., None]
    alpha = np.clip(0.45 + 0.38 * ridge + 0.12 * fine, 0, 1)
    return np.concatenate([np.clip(tone, 0, 1), alpha[..., None]], -1)


def _fuzz(who: Traits, rng: np.random.Generator, side: int) -> F32:
    """Short hair seen from above: speckle."""
    u, _ = _grid(FUZZ, side)
    grain = noise(rng, u.shape, (u.shape[0] // 2, u.shape[1] // 2))
    tone = linear(HAIR_TONES[who.hair]) * np.clip(1 + 0.35 * grain, 0.3, 2)[..., None]
    return np.concatenate([tone, np.clip(0.5 + 0.3 * grain, 0, 1)[..., None]], -1)


def _lash(who: Traits, rng: np.random.Generator, side: int) -> F32:
    u, v = _grid(LASH, side)
    alpha = np.zeros(u.shape)
    for centre in np.linspace(0.0, 1.0, 34) + rng.normal(0, 0.008, 34):
        lean = (centre - 0.4) * 0.10 * v
        width = 0.013 * (1.15 - v * 0.8)
        alpha = np.maximum(alpha, (np.abs(u - centre - lean) < width) * (v < rng.uniform(0.7, 1.0)))
    alpha = np.maximum(alpha, v < 0.30)
    tone = linear((22, 16, 14)) if who.hair not in ("blond", "ginger", "silver") else linear((58, 40, 30))
    return np.concatenate([np.broadcast_to(tone, (*u.shape, 3)), alpha[..., None]], -1)


def build_atlas(
    who: Traits, seed: int, side: int, light_xy: tuple[float, float], exposure: float = 1.0
) -> F32:
    """The atlas (side, 1.25 side, 4), linear light; the last channel is gloss, or alpha for hair.

    Eyes and teeth are as bright on every skin: what the exposure adds is taken from them.
    """
    rng = np.random.default_rng([seed, 0xA71A5])
    out = np.zeros((side, side + side // 4, 4), np.float32)
    parts = {
        SKIN: skin_texture(who, seed, side, light_xy),
        EYE: _eye(who, rng, side),
        TEETH: _teeth(who, rng, side),
        MOUTH: _mouth(rng, side),
        LASH: _lash(who, rng, side),
        FUZZ: _fuzz(who, rng, side),
        HAIR: _hair(who, rng, side),
    }
    for white in (EYE, TEETH):
        parts[white][..., :3] *= min(1.0, exposure**-0.8)
    for (x, y, _w, _h), picture in parts.items():
        top, left = round(y * side), round(x * side)
        out[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return out
