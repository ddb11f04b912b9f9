"""Who a puppet is: a seed becomes traits, and traits become a face shape.

Eight archetypes keep the first eight seeds clearly different; every seed adds its own variation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Traits", "traits", "warp"]

F32 = NDArray[np.float32]
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Traits:
    """Everything that makes one person look different from another. Shape numbers are near -1 to 1."""

    sex: str = "female"
    age: float = 30
    skin: str = "light"
    hair: str = "brown"
    style: str = "bob"
    eyes: str = "brown"
    beard: str = "none"
    clothes: str = "shirt"
    freckles: float = 0.0
    lip_colour: float = 0.3  # make-up: 0 natural, 1 strong
    brow: float = 0.0  # thickness
    width: float = 0.0
    length: float = 0.0
    jaw: float = 0.0
    chin: float = 0.0
    nose_width: float = 0.0
    nose_length: float = 0.0
    nose_height: float = 0.0
    nose_tip: float = 0.0
    eye_size: float = 0.0
    eye_gap: float = 0.0
    eye_tilt: float = 0.0
    lips: float = 0.0
    mouth_width: float = 0.0
    brow_height: float = 0.0
    brow_ridge: float = 0.0
    cheekbones: float = 0.0
    cheeks: float = 0.0
    neck: float = 0.0

    def readable(self) -> dict[str, object]:
        """What a caller may want to know, such as to choose a voice."""
        names = ("sex", "skin", "hair", "style", "eyes", "beard", "clothes")
        return {name: getattr(self, name) for name in names} | {"age": round(self.age)}


_ARCHETYPES: tuple[Traits, ...] = (
    Traits("female", 29, "light", "auburn", "long", "green", clothes="blazer", freckles=0.5, lip_colour=0.5,
           brow=-0.2, jaw=-0.6, chin=-0.2, eye_size=0.6, lips=0.3, nose_tip=0.5, cheekbones=0.4, neck=-0.7),
    Traits("male", 42, "deep", "black", "cropped", "brown", "stubble", "suit", brow=0.4, width=0.3, jaw=0.6,
           chin=0.3, nose_width=0.9, nose_height=-0.3, lips=0.9, brow_ridge=0.5, mouth_width=0.4, neck=0.7),
    Traits("male", 61, "pale", "grey", "receding", "blue", clothes="shirt", brow=0.5, lip_colour=0.0,
           length=0.3, jaw=0.2, chin=0.5, nose_width=0.2, nose_length=0.7, nose_height=0.6, eye_size=-0.4,
           lips=-0.6, cheeks=0.2, brow_ridge=0.5, neck=0.5),
    Traits("female", 34, "brown", "black", "curly", "brown", clothes="sweater", lip_colour=0.6, width=0.1,
           nose_width=0.6, nose_height=-0.2, lips=0.9, cheekbones=0.7, jaw=-0.3, eye_size=0.4, neck=-0.4),
    Traits("male", 27, "tan", "darkbrown", "quiff", "hazel", "beard", "jacket", brow=0.7, jaw=0.5, chin=0.2,
           nose_height=0.5, nose_length=0.2, eye_size=0.1, lips=0.1, cheekbones=0.3, neck=0.6),
    Traits("female", 55, "fair", "silver", "bob", "grey", clothes="collar", lip_colour=0.55, brow=-0.3,
           width=-0.3, length=0.2, jaw=-0.2, nose_length=0.3, nose_height=0.2, lips=-0.4, cheeks=0.1,
           cheekbones=0.3, neck=-0.4),
    Traits("female", 25, "golden", "black", "bun", "darkbrown", clothes="blouse", lip_colour=0.45,
           width=0.35, length=-0.4, jaw=-0.4, nose_height=-0.7, nose_width=0.1, eye_tilt=0.6, eye_gap=0.4,
           brow=-0.1, lips=0.2, cheekbones=0.5, cheeks=0.4, neck=-0.6),
    Traits("male", 36, "rosy", "ginger", "side", "blue", "full", "sweater", freckles=0.7, brow=0.1,
           lip_colour=0.1, width=0.5, jaw=0.8, chin=0.1, nose_width=0.4, nose_tip=0.3, nose_length=-0.3,
           cheeks=0.5, brow_ridge=0.2, neck=0.9),
)  # fmt: skip

_SHAPE = tuple(f.name for f in fields(Traits) if f.name in Traits.__annotations__)[11:]
_CHOICES = {
    "skin": ("pale", "fair", "light", "rosy", "golden", "tan", "brown", "deep"),
    "hair": ("black", "darkbrown", "brown", "auburn", "ginger", "blond", "grey"),
    "eyes": ("brown", "darkbrown", "hazel", "green", "blue", "grey"),
    "clothes": ("blazer", "suit", "shirt", "sweater", "jacket", "collar", "blouse"),
}


def traits(seed: int) -> Traits:
    """The person of a seed; seeds 0 to 7 are the archetypes with a little jitter."""
    rng = np.random.default_rng([seed, 0xFACE])
    base = _ARCHETYPES[seed % len(_ARCHETYPES)]
    spread = 0.12 if seed < len(_ARCHETYPES) else 0.45
    shape = {
        name: float(np.clip(getattr(base, name) + spread * rng.standard_normal(), -1, 1)) for name in _SHAPE
    }
    person = replace(base, **shape)
    if seed < len(_ARCHETYPES):
        return person
    drawn = {name: str(rng.choice(options)) for name, options in _CHOICES.items()}
    styles = (
        ("long", "curly", "bob", "bun") if base.sex == "female" else ("cropped", "quiff", "side", "receding")
    )
    beard = str(rng.choice(("none", "stubble", "beard", "full"))) if base.sex == "male" else "none"
    return replace(
        person,
        **drawn,
        style=str(rng.choice(styles)),
        beard=beard,
        age=float(rng.uniform(22, 66)),
        freckles=float(rng.random() ** 3),
    )


def _step(value: F32, low: float, high: float) -> F32:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _bump(p: F32, centre: tuple[float, float, float], size: tuple[float, float, float]) -> F32:
    """A Gaussian around the centre and around its mirror image."""
    d = (np.abs(p[:, 0]) - centre[0]) / size[0]
    return np.exp(
        -0.5 * (d**2 + ((p[:, 1] - centre[1]) / size[1]) ** 2 + ((p[:, 2] - centre[2]) / size[2]) ** 2)
    )


def warp(points: F32, who: Traits) -> F32:
    """Move any points of the mean head (face, skull, ears, teeth) to where they are on this person."""
    p = points.astype(np.float32).copy()
    side = np.sign(p[:, 0])
    out = p.copy()
    nose = (
        np.exp(-0.5 * (p[:, 0] / 13) ** 2)
        * _step(p[:, 1], -42, -20)
        * (1 - _step(p[:, 1], 6, 18))
        * (1 - _step(p[:, 2], 0, 14))
    )
    out[:, 0] += p[:, 0] * nose * 0.30 * who.nose_width
    low = _step(p[:, 1], -40, 2) * nose
    out[:, 1] += low * 4.5 * who.nose_length - _bump(p, (0, -4, -32), (9, 9, 9)) * 3.5 * who.nose_tip
    out[:, 2] -= nose * (4.5 * who.nose_height + 1.2 * low * who.nose_tip)
    out[:, 2] -= _bump(p, (0, -34, -12), (8, 14, 14)) * 1.8 * who.nose_height
    out[:, 0] += p[:, 0] * _step(p[:, 1], 0, 55) * 0.15 * who.jaw * _step(np.abs(p[:, 0]), 5, 45)
    out[:, 1] += _step(p[:, 1], 38, 76) * (1 - _step(p[:, 2], 60, 110)) * 6.0 * who.chin
    out[:, 2] -= _bump(p, (0, 68, -5), (18, 14, 20)) * 3.5 * who.chin
    eye = _bump(p, (30, -38, 5), (13, 8, 14))
    out[:, 1] += (p[:, 1] + 37.5) * eye * 0.22 * who.eye_size
    out[:, 0] += side * (np.abs(p[:, 0]) - 30) * eye * 0.07 * who.eye_size
    out[:, 0] += side * _bump(p, (30, -40, 5), (16, 18, 25)) * 2.6 * who.eye_gap
    out[:, 1] -= (np.abs(p[:, 0]) - 30) * eye * 0.17 * who.eye_tilt
    mouth = _bump(p, (0, 31, -10), (24, 12, 24))
    out[:, 1] += (p[:, 1] - 29.8) * mouth * 0.30 * who.lips
    out[:, 2] -= _bump(p, (0, 31, -13), (17, 9, 14)) * 1.4 * who.lips
    out[:, 0] += p[:, 0] * _bump(p, (14, 31, -5), (20, 14, 24)) * 0.11 * who.mouth_width
    out[:, 1] -= _bump(p, (30, -58, 0), (22, 9, 16)) * 3.0 * who.brow_height
    out[:, 2] -= _bump(p, (22, -60, -3), (24, 7, 14)) * 3.0 * who.brow_ridge
    cheekbone = _bump(p, (46, -12, 16), (15, 12, 20))
    out[:, 0] += side * cheekbone * 3.4 * who.cheekbones
    out[:, 2] -= cheekbone * 2.4 * who.cheekbones
    out[:, 0] += side * _bump(p, (50, 26, 30), (18, 20, 26)) * 4.6 * who.cheeks
    neck = _step(p[:, 1], 80, 125)
    out[:, 0] *= 1 + neck * 0.12 * who.neck
    out[:, 0] *= 1 + 0.06 * who.width * (1 - neck)
    out[:, 1] = np.where(
        out[:, 1] < 80, out[:, 1] * (1 + 0.05 * who.length), out[:, 1] + 80 * 0.05 * who.length
    )
    return out.astype(np.float32)
