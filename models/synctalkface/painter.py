"""The trained talker at work: views of a template in, patches to lay on them out.

Called by `models.synctalkface.method`; benchmarks also ask what single slots look like.

Shape legend: B frames of a view, A slots, C width, S canvas, s the part that is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.canvas.framing import FACE
from models.canvas.painting import Easel, Looked
from models.methods import Drawn, Person, Template, View
from models.networks.blocks import pictures_in, pictures_out
from models.synctalkface.config import TalkerConfig
from models.synctalkface.talker import Talker, hidden_on, shown

__all__ = ["Painter", "addresses", "mouths_by_slot"]

_SEAM = 0.05  # of the side, over which a drawn half begins
_SLOTS_AT_ONCE = 16


class Painter:
    """One person's talker, the frame that says what the person looks like, and a template."""

    def __init__(
        self,
        config: TalkerConfig,
        weights: Mapping[str, Tensor],
        person: Person,
        device: torch.device | str | None = None,
    ) -> None:
        if person.references is None or not len(person.references):
            raise ValueError("SyncTalkFace must be shown a frame of the person: prepare this person again")
        self.config = config
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.talker = Talker(config)
        self.talker.load(weights)
        form = torch.channels_last if config.plan.channels_last else torch.preserve_format
        for network in (*self.talker.networks.values(), self.talker.shape):
            network.to(self.device, memory_format=form).eval()  # type: ignore[call-overload]
        self.reference = pictures_in(person.references[:1]).to(self.device)
        self.easel = Easel(person, config.side, FACE)

    def meet(self, template: Template) -> None:
        """The template whose frames come next."""
        self.easel.meet(template)

    @torch.inference_mode()
    def hear(self, rows: Tensor) -> Tensor:
        """Audio features (n, C) of log-mel (n, 16, 80), for those who hear it."""
        return self.talker.hear(rows.to(self.device)).float().cpu()

    @torch.inference_mode()
    def draw(self, view: View) -> Drawn:
        """Mouths for a block of frames."""
        looked = self.easel.look(view)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.plan.precision == "bfloat16"
        ):
            made = self.talker.draw(self.talker.told(self._heard(view)), self._inputs(looked))
        return self.easel.lay(self._whole(made, looked), looked, view, self._reach(looked))

    def _heard(self, view: View) -> Tensor:
        """Audio features (B, C)."""
        motion = view.motion
        if self.config.hearing == "mel":
            assert motion.heard is not None, "a view without what its speaker heard"
            return motion.heard.to(self.device)
        assert motion.around is not None, "a view without the motion around its frames"
        return self.talker.hear(motion.around.float().to(self.device))

    def _inputs(self, looked: Looked) -> Tensor:
        pictures = pictures_in(looked.canvases).to(self.device)
        hidden = hidden_on(looked.hidden.to(self.device), self.config)
        return shown(pictures, hidden, self.reference.expand(len(pictures), -1, -1, -1), self.config)

    def _whole(self, made: Tensor, looked: Looked) -> Tensor:
        """Canvases (B, S, S, 3) uint8: what was drawn, and around it what was there."""
        drawn = pictures_out(made).cpu()
        if self.config.draws != "mouth":
            return drawn
        out = looked.canvases.clone()
        rows, columns = FACE.box(self.config.side)
        out[:, rows, columns] = drawn
        return out

    def _reach(self, looked: Looked) -> Tensor | None:
        """Alpha (B, S, S) of the lower half, which is all that is drawn anew where that is hidden."""
        if self.config.hides != "half":
            return None
        side = self.config.side
        below = (torch.arange(side) + 0.5 - side / 2) / (_SEAM * side)
        return below.clamp(0, 1)[:, None].expand_as(looked.alpha)


@torch.inference_mode()
def mouths_by_slot(talker: Talker, inputs: Tensor, heard: Tensor) -> Tensor:
    """What each slot looks like (A, 3, s, s), -1 to 1, on one face (1, 6 or 7, S, S) that hears (1, C)."""
    count = talker.config.slots
    parts = []
    for alone in torch.split(torch.eye(count, device=heard.device), _SLOTS_AT_ONCE):
        told = talker.told(heard.expand(len(alone), -1), alone)
        parts.append(talker.draw(told, inputs.expand(len(alone), -1, -1, -1)).float())
    return torch.cat(parts)


@torch.inference_mode()
def addresses(talker: Talker, rows: Tensor) -> Tensor:
    """How much of each slot (n, A) is recalled for expressions (n, 5, 64), or log-mel (n, 16, 80)."""
    return talker.addresses(talker.hear(rows))
