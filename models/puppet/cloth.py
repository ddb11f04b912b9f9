"""What the shoulders wear: colour and sheen of cloth as a function of the place on the body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.identity import Traits
from models.puppet.paint import linear, noise, smoothstep
from models.puppet.skin_texture import SKIN_TONES

__all__ = ["Wardrobe"]

F32 = NDArray[np.float32]

_DARK = ((38, 44, 60), (46, 46, 50), (58, 48, 44), (34, 52, 54), (64, 66, 74))
_BRIGHT = ((214, 220, 228), (170, 190, 214), (226, 214, 206), (196, 178, 182), (150, 172, 160))
_WARM = ((122, 52, 50), (54, 84, 104), (142, 112, 70), (62, 86, 66), (96, 74, 110), (168, 148, 124))
COLLARS = {
    "suit": "shirt", "blazer": "", "shirt": "shirt", "sweater": "sweater",
    "jacket": "hood", "collar": "turtle", "blouse": "",
}  # fmt: skip


class Wardrobe:
    """Colours of one outfit, drawn from the person's seed."""

    def __init__(self, who: Traits, seed: int) -> None:
        rng = np.random.default_rng([seed, 0xC107])
        self.kind = who.clothes
        self.collar = COLLARS[who.clothes]
        pick = {
            k: linear(v[int(rng.integers(len(v)))])
            for k, v in (("dark", _DARK), ("bright", _BRIGHT), ("warm", _WARM))
        }
        self.dark, self.bright, self.warm = pick["dark"], pick["bright"], pick["warm"]
        self.tie = linear(_WARM[int(rng.integers(len(_WARM)))]) * 0.7
        self.skin = linear(SKIN_TONES[who.skin])
        self._folds = noise(rng, (512, 512), (6, 5)) * 0.8 + noise(rng, (512, 512), (14, 12)) * 0.25
        self._grain = noise(rng, (512, 512), (256, 256))
        self.stripes = bool(rng.integers(2))

    def _sample(self, picture: F32, x: F32, y: F32) -> F32:
        return picture[np.abs(y).astype(int) % 512, np.abs(x + 256).astype(int) % 512]

    def body(self, p: F32) -> F32:
        """Albedo (P, 3) of the torso at body positions (P, 3)."""
        x, y = np.abs(p[:, 0]), p[:, 1] + 16
        # Half-width of the opening that runs down from the neck.
        v = np.interp(y, [160, 176, 240, 320], [58, 46, 26, 8]).astype(np.float32)
        out = np.broadcast_to(self._main(), (len(p), 3)).copy()
        if self.kind in ("suit", "blazer"):
            inside = smoothstep(v - x, -0.6, 0.6)[:, None]
            under = self.bright if self.kind == "suit" else self._scoop(x, y)
            out = out * (1 - inside) + under * inside
            out *= (1 - 0.45 * np.exp(-((np.clip(x - v, -9, 0) / 3.0) ** 2)) * (x < v))[:, None]
            lapel = v + np.interp(y, [160, 185, 215, 217, 330], [10, 20, 34, 24, 6])
            out *= (1 + 0.14 * smoothstep(lapel - x, -0.5, 0.5) * (x > v))[:, None]
            out *= (1 - 0.45 * np.exp(-(((x - lapel - 1.0) / 1.3) ** 2)))[:, None]
            out *= (1 + 0.25 * np.exp(-(((x - v - 1) / 0.8) ** 2)))[:, None]
        if self.kind == "suit":
            width = np.interp(y, [176, 184, 196, 200, 330], [7, 9.5, 6.5, 7.5, 20])
            weave = 1 + 0.25 * (np.sin((p[:, 0] + y) * 0.9) > 0.4)
            out = np.where(
                (x < width)[:, None],
                self.tie * weave[:, None] * (0.75 + 0.25 * np.cos(x / width * 1.4))[:, None],
                out,
            )
        if self.kind in ("shirt", "jacket"):
            placket = np.exp(-(((x - 9) / 0.8) ** 2)) + 0.8 * np.exp(-((x / 0.5) ** 2)) * (
                self.kind == "jacket"
            )
            out *= (1 - 0.22 * placket)[:, None]
            open_by = np.interp(y, [170, 182, 204], [17, 12, 0])
            skin = smoothstep(open_by - x, -0.5, 0.5)[:, None] * (self.kind == "shirt")
            out = out * (1 - skin) + self.skin * 0.9 * skin
        if self.kind == "blouse":
            neck = smoothstep(np.interp(y, [160, 180, 232], [60, 50, 0]) - x, -0.6, 0.6)[:, None]
            out = out * (1 - neck) + self.skin * neck
            out *= (1 - 0.3 * np.exp(-(((x - np.interp(y, [160, 180, 232], [60, 50, 0])) / 2) ** 2)))[:, None]
        return self._woven(out, p)

    def _main(self) -> F32:
        return {"suit": self.dark, "blazer": self.dark, "shirt": self.bright, "blouse": self.bright}.get(
            self.kind, self.warm
        )

    def _scoop(self, x: F32, y: F32) -> F32:
        scoop = smoothstep(y - (206 - x**2 / 60), -0.6, 0.6)[:, None]
        return self.skin * (1 - scoop) + self.bright * scoop

    def _woven(self, albedo: F32, p: F32) -> F32:
        x, y = p[:, 0], p[:, 1]
        shade = 1 + 0.07 * self._sample(self._folds, x, y) + 0.05 * self._sample(self._grain, x * 4, y * 4)
        if self.kind in ("sweater", "collar"):
            shade = shade * (1 + 0.07 * np.sin(x * 1.6) * np.sin(y * 1.3 + x * 0.8))
        if self.kind == "shirt" and self.stripes:
            shade = shade * (1 - 0.16 * (np.sin(x * 0.9) > 0.75))
        return np.clip(albedo * shade[:, None], 0, 1).astype(np.float32)

    def band(self, p: F32, around: F32) -> F32:
        """Albedo of the collar."""
        tone = self.bright if self.kind == "suit" else self._main()
        out = np.broadcast_to(tone, (len(p), 3)).copy()
        if self.kind in ("sweater", "collar"):
            out *= (1 + 0.16 * np.sin(around * 340))[:, None]
        if self.kind == "suit" or self.kind == "shirt":
            out *= 1.06
        return self._woven(out, p) if self.kind != "suit" else out.astype(np.float32)
