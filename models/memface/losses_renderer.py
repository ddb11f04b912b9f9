"""What the renderer minimises: pixels, features of fixed filters, structure, and whoever tells it apart."""

from __future__ import annotations

from torch import Tensor

from models.canvas.places import mouth_box
from models.losses import Perception, fooled, ssim, told_apart, weighted_l1
from models.memface.config_renderer import RendererConfig

__all__ = ["attention", "drawing", "judged", "of_mouth", "telling"]

_STRUCTURE = 0.5


def attention(hidden: Tensor, config: RendererConfig) -> Tensor:
    """How much pixels (N, 1, S, S) matter: the mouth most, what stays the template's little."""
    weight = config.around + (1 - config.around) * hidden
    rows, columns = mouth_box(hidden.shape[-1])
    weight = weight.clone()
    weight[..., rows, columns] *= config.mouth
    return weight


def of_mouth(pictures: Tensor) -> Tensor:
    """The part (N, C, S/2, S/2) around the mouth."""
    rows, columns = mouth_box(pictures.shape[-1])
    return pictures[..., rows, columns]


def drawing(
    made: Tensor,
    true: Tensor,
    hidden: Tensor,
    perception: Perception,
    config: RendererConfig,
    score: Tensor | None = None,
) -> dict[str, Tensor]:
    """Of pictures (N, 3, S, S); `score` is what the discriminator says of them."""
    weight = attention(hidden, config)
    made = made.float()
    told = {"pixels": weighted_l1(made, true, weight)}
    told["features"] = perception(made, true, weight)
    told["structure"] = 1 - ssim(of_mouth(made), of_mouth(true)).mean()
    told["loss"] = 2 * told["pixels"] + config.perceptual * told["features"] + _STRUCTURE * told["structure"]
    if score is not None:
        told["fooling"] = fooled(score)
        told["loss"] = told["loss"] + config.adversarial * told["fooling"]
    return told


def telling(real: Tensor, made: Tensor) -> dict[str, Tensor]:
    """What the discriminator minimises."""
    return {
        "loss": told_apart(real, made),
        "real": (real > 0).float().mean(),
        "made": (made > 0).float().mean(),
    }


def judged(made: Tensor, true: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel distance under the mask, and structural similarity of the mouth, of each picture (N,)."""
    away = ((made - true).abs() * hidden).flatten(1).sum(1) / (3 * hidden.flatten(1).sum(1)).clamp(min=1)
    alike = ssim(of_mouth(made), of_mouth(true)).flatten(1).mean(1)
    return away, alike
