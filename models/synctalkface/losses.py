"""What the talker minimises. The paper sums over both decoder paths: here means, times the paths.

Shape legend: N pictures (of both paths one after the other), s side of what is drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from models.canvas.framing import FACE, MOUTH
from models.canvas.places import mouth_in
from models.losses import Perception, ssim, weighted_l1
from models.synctalkface.config import TalkerConfig

__all__ = ["alike", "attention", "blacked", "drawing", "half", "mouth_of", "passed", "telling"]


def mouth_of(side: int, config: TalkerConfig) -> tuple[slice, slice]:
    """Rows and columns of drawn pictures (N, 3, s, s) that are the mouth."""
    return mouth_in(MOUTH if config.draws == "mouth" else FACE, side)


def attention(hidden: Tensor, config: TalkerConfig) -> Tensor:
    """How much pixels (N, 1, s, s) matter."""
    weight = config.around + (1 - config.around) * hidden
    weight[..., *mouth_of(hidden.shape[-1], config)] *= config.mouth
    return weight


def drawing(
    made: Tensor, true: Tensor, hidden: Tensor, perception: Perception, config: TalkerConfig
) -> dict[str, Tensor]:
    """Of pictures (N, 3, s, s), -1 to 1, against the truth; "loss" is one path's share of the sum."""
    weight, made = attention(hidden, config), made.float()
    told = {"pixels": weighted_l1(made, true, weight) / 2}
    told["loss"] = config.weight_pixels * told["pixels"]
    if config.weight_features > 0:
        told["features"] = perception(made, true, weight)
        told["loss"] = told["loss"] + config.weight_features * told["features"]
    if config.weight_structure > 0:
        mouth = mouth_of(made.shape[-1], config)
        told["structure"] = 1 - ssim(made[..., *mouth], true[..., *mouth]).mean()
        told["loss"] = told["loss"] + config.weight_structure * told["structure"]
    return told


def alike(encoder: nn.Module, made: Tensor, true: Tensor) -> Tensor:
    """Visual-visual: lips of windows (B, 3, 5, s, s) as the encoder sees them, against features (B, C).

    Neither the encoder nor the truth gives way: it could make everything alike by seeing nothing.
    """
    still = {name: value.detach() for name, value in encoder.named_parameters()}
    # Running norms are written to while they are used; what is drawn must not move them.
    still |= {name: value.clone() for name, value in encoder.named_buffers()}
    seen: Tensor = functional_call(encoder, still, (made,))
    return functional.l1_loss(seen.float(), true.detach().float())


def half(pictures: Tensor, config: TalkerConfig) -> Tensor:
    """What the critic looks at: the lower half, or all where only the mouth is drawn."""
    return pictures if config.draws == "mouth" else pictures[..., pictures.shape[-2] // 2 :, :]


def passed(score: Tensor) -> Tensor:
    """The game's part of who draws: cross-entropy of scores before the sigmoid against "true"."""
    return functional.softplus(-score.float()).mean()


def telling(real: Tensor, made: Tensor) -> dict[str, Tensor]:
    """The critic's part; every path that was drawn counts as much as what is true."""
    paths = len(made) // len(real)
    real, made = real.float(), made.float()
    return {
        "loss": functional.softplus(-real).mean() + paths * functional.softplus(made).mean(),
        "real": (real > 0).float().mean(),
        "made": (made > 0).float().mean(),
    }


def blacked(windows: Tensor, config: TalkerConfig) -> Tensor:
    """What the lip encoder sees of windows (B, 3, T, s, s): no upper half where there is one."""
    if config.draws == "mouth":
        return windows
    below = torch.zeros_like(windows)
    middle = windows.shape[-2] // 2
    below[..., middle:, :] = windows[..., middle:, :]
    return below
