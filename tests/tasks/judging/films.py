"""Short films of a moving blot with skin's noise, and what is done to films to spoil them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

FRAMES, SIDE = 12, 48


def film(seed: int = 0, frames: int = FRAMES, height: int = SIDE, width: int = SIDE + 8) -> np.ndarray:
    """Crops (n, H, W, 3) of a textured face whose mouth opens and shuts."""
    rng = np.random.default_rng(seed)
    skin = gaussian_filter(rng.uniform(0, 255, (height, width, 3)), (1.2, 1.2, 0))
    y, x = np.mgrid[:height, :width]
    found = []
    for k in range(frames):
        half = (0.08 + 0.06 * np.sin(2 * np.pi * k / 7)) * height
        mouth = ((x - width / 2) / (0.3 * width)) ** 2 + ((y - 0.6 * height) / half) ** 2 < 1
        found.append(np.where(mouth[..., None], 0.3 * skin, 0.5 * skin + 90))
    return np.clip(np.round(found), 0, 255).astype(np.uint8)


def blurred(made: np.ndarray, sigma: float) -> np.ndarray:
    return np.round(gaussian_filter(made.astype(float), (0, sigma, sigma, 0))).astype(np.uint8)


def noisy(made: np.ndarray, spread: float, seed: int = 5) -> np.ndarray:
    noise = spread * np.random.default_rng(seed).standard_normal(made.shape)
    return np.clip(np.round(made + noise), 0, 255).astype(np.uint8)
