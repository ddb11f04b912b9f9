"""Losses on pictures that several systems share; none needs downloaded weights. Called by their `losses`."""

from models.losses.adversarial import fooled, told_apart
from models.losses.perceptual import Perception
from models.losses.pictures import likeness, psnr, ssim, weighted_l1

__all__ = ["Perception", "fooled", "likeness", "psnr", "ssim", "told_apart", "weighted_l1"]
