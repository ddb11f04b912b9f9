"""What the expert learns from, and what others learn from the expert.

Shape legend: P stretches of K windows, D embeddings, B samples of five frames, S canvas.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.framing import Framing
from models.sync.network import SyncNet
from models.sync.sight import SIDE, mouths_of

__all__ = ["BESIDE", "FAR", "NEAR", "choosing", "negatives", "sync_loss", "telling"]

BESIDE = 2  # shifts up to this one are neither in step nor out of it
NEAR = (3, 9)  # hard shifts, frames
FAR = 10  # easy ones, from here on


def choosing(net: SyncNet, seen: Tensor, heard: Tensor, weight: Tensor) -> Tensor:
    """The true sound among those of the same stretch, and the true mouth; (P, K, D), weights (P, K)."""
    # Half precision would round what is told apart.
    with torch.autocast(seen.device.type, enabled=False):
        scores = net.sharpness.exp().clamp(max=50) * seen @ heard.transpose(1, 2)
    at = torch.arange(scores.shape[1], device=scores.device)
    apart = (at[:, None] - at).abs()
    scores = scores.masked_fill((apart > 0) & (apart <= BESIDE), -torch.inf)
    wanted = at.expand(len(scores), -1)
    # The class must be the second axis: as it stands it is the mouth, transposed the sound.
    mouths = functional.cross_entropy(scores, wanted, reduction="none")
    sounds = functional.cross_entropy(scores.transpose(1, 2), wanted, reduction="none")
    missed = mouths + sounds
    return 0.5 * (missed * weight).sum() / weight.sum().clamp(min=1e-6)


def negatives(stretches: int, windows: int, draw: torch.Generator | None = None) -> Tensor:
    """For every window (P, K) one whose sound is not its own, as numbers among all P * K.

    Half are shifted by 3 to 9 frames in the same stretch; half by 10 or more, there or in another one.
    """
    at = torch.arange(windows)
    apart = (at[:, None] - at).abs()
    same = torch.eye(stretches)[:, None, :, None]
    near = same * ((apart >= NEAR[0]) & (apart <= NEAR[1]))[:, None].float()
    far = same * (apart >= FAR)[:, None].float() + (1 - same)
    near, far = (weight.reshape(stretches * windows, -1) for weight in (near, far))
    # The middle of a lonely stretch has no far ones, the windows of a very short one no near ones.
    some_near, some_far = (weight.sum(1, keepdim=True) > 0 for weight in (near, far))
    hard = torch.multinomial(torch.where(some_near, near, far), 1, generator=draw)[:, 0]
    easy = torch.multinomial(torch.where(some_far, far, near), 1, generator=draw)[:, 0]
    chosen = torch.where(torch.rand(len(hard), generator=draw) < 0.5, hard, easy)
    return chosen.reshape(stretches, windows)


def telling(
    net: SyncNet, seen: Tensor, heard: Tensor, other: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Pairs in step against as many out of step: the loss, and the share that is told right."""
    true = net.told(net.score(seen, heard))
    false = net.told(net.score(seen, heard.flatten(0, 1)[other]))
    missed = functional.softplus(-true) + functional.softplus(false)
    right = ((true > 0).float() + (false < 0).float()) / 2
    total = weight.sum().clamp(min=1e-6)
    return 0.5 * (missed * weight).sum() / total, (right * weight).sum() / total


def sync_loss(expert: SyncNet, made: Tensor, framing: Framing, sound: Tensor) -> Tensor:
    """How unlikely it is that pictures (B, 5, 3, S, S), -1 to 1, are in step with sound (B, 13, 2, 111)."""
    mouths = mouths_of(made.flatten(0, 1), framing).reshape(*made.shape[:2], 3, SIDE, SIDE)
    with torch.no_grad():
        heard = expert.hear(sound)
    return functional.softplus(-expert.told(expert.score(expert.see(mouths), heard))).mean()
