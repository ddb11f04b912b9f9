"""Render-to-video at work: views of a template in, whole heads to lay on them out.

The head is drawn where the motion wants it, or where it was filmed; around the hole in which it may be, the
template stays as it is. Called by `models.facial.method`.

Shape suffixes: B frames of a view, W = B + 9 with those around them, S canvas.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas import sample
from models.canvas.face import Faces, face_pictures
from models.canvas.mask import masks
from models.canvas.still import UNKNOWN, Standing, Still, in_shots
from models.canvas.template import light_of_shots
from models.facial.config_picture import AFTER, BEFORE, PictureConfig
from models.facial.network_picture import WINDOW, inputs_of, new_generator
from models.facial.training_picture import NETWORK
from models.methods import Drawn, Fit, Near, Person, Template, View
from models.morphable.builtin import builtin
from models.networks.blocks import pictures_in, pictures_out
from models.training import load_network

__all__ = ["Painter"]

_MOUTH = ("jaw", "lips", "cheeks")  # what the ear hears: a filmed cheek would tell of the filmed mouth
_SOFT = 0.03  # of the side: how softly what is drawn of a filmed head ends
_LIDS = 0.015  # of the side: how far lids and their folds reach beyond the eyes


class Painter:
    """One person's generator, on one template after the other."""

    reach = (BEFORE, AFTER)

    def __init__(
        self,
        config: PictureConfig,
        weights: Mapping[str, Tensor],
        person: Person,
        device: torch.device | str | None = None,
    ) -> None:
        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.config, self.person, self.device = config, person, torch.device(where)
        self.kind = torch.bfloat16 if config.plan.precision == "bfloat16" else torch.float32
        network = new_generator(config)
        load_network(network, NETWORK, weights)
        self.network = network.to(self.device, self.kind, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._mouth = torch.from_numpy(builtin().coefficients_of(_MOUTH))
        self._template: Template | None = None
        self._last: tuple[tuple[Tensor, ...], Faces] | None = None  # what was rendered, and how it came out

    def meet(self, template: Template) -> None:
        """The template whose frames come next."""
        fit, seen = template.fit, template.seen
        if template is self._template:
            return
        pose = (fit.rotation, fit.translation, fit.camera)
        shown = in_shots(template.shot, seen, template.walked)
        self._standing = Standing(self.person.identity, *pose, template.shot, shown, self.config.side)
        self._light = light_of_shots(fit.light, template.shot, seen)
        self._template = template

    @torch.inference_mode()
    def draw(self, view: View) -> Drawn:
        """Heads for a block of frames of one run."""
        template = self._template
        assert template is not None, "meet the template first"
        assert view.near is not None, "a view of a speaker with `reach` brings `near`"
        number, count = int(template.shot[view.frames[0]]), len(view.frames)
        still = self._standing.shots[number]
        place = still.place.expand(count, -1, -1)
        canvas = sample(view.pictures, place, self.config.side)
        made = self._paint(canvas, still, self._plate(number), view.near, self._light[view.frames[:1]])
        alpha = still.hole[None].expand(count, -1, -1)
        if view.motion.rotation is None:
            alpha = alpha * self._lips_and_lids(view.fit, place)
        return Drawn(made, place, alpha * view.speaks.to(alpha.dtype)[:, None, None])

    def _lips_and_lids(self, fit: Fit, place: Tensor) -> Tensor:
        """Alpha (B, S, S) of all that is drawn of a head that is kept as it was filmed."""
        person, side, pose = self.person, self.config.side, (fit.rotation, fit.translation, fit.camera)
        lower = masks(person.identity, *pose, place, side, _SOFT)
        at_rest = torch.zeros_like(fit.expression)
        told = (person.identity, person.texture, at_rest, *pose, fit.light, place, side)
        eyes = (face_pictures(*told).eyes > 0).float()[:, None]
        reach = 2 * round(_LIDS * side) + 1
        wide = functional.max_pool2d(eyes, reach, 1, reach // 2)
        soft = functional.avg_pool2d(wide, reach, 1, reach // 2)[:, 0]
        return torch.maximum(lower, soft)

    def _plate(self, shot: int) -> Tensor:
        assert self._template is not None
        plates, side = self._template.plates or {}, self.config.side
        return plates.get(shot, torch.full((side, side, 3), UNKNOWN, dtype=torch.uint8))

    def _paint(self, canvas: Tensor, still: Still, plate: Tensor, near: Near, light: Tensor) -> Tensor:
        """Canvases (B, S, S, 3) uint8; what lies in the hole of `canvas` is not looked at."""
        count, device, kind = len(canvas), self.device, self.kind
        renders, eyes = self._rendered(near, still.place, light)
        shut = 5 * near.motion.blink if near.motion.blink is not None else torch.zeros(len(renders))
        shut = shut if self.config.eyes else torch.zeros_like(shut)
        rows = torch.arange(count)[:, None] + torch.arange(WINDOW)
        around, behind = (pictures_in(one).to(device, kind) for one in (canvas, plate[None]))
        behind = behind.expand(count, -1, -1, -1) * (1 if self.config.still else 0)
        hidden = still.hidden[None, None].expand(count, -1, -1, -1).to(device, kind)
        windows = (part[rows].to(device) for part in (renders, eyes, shut.float()))
        shown = inputs_of(*windows, around, hidden, behind)
        picture = self.network(shown.contiguous(memory_format=torch.channels_last))
        made = picture.over(behind) if self.config.still else picture.colours
        return pictures_out(made).cpu()

    def _rendered(self, near: Near, place: Tensor, light: Tensor) -> Faces:
        """Faces (W, S, S, 3) and their eyes (W, S, S), as they are to be seen."""
        fit, motion, count = near.fit, near.motion, len(near.moves)
        turn, moved = fit.rotation.float(), fit.translation.float()
        expression = motion.expression.float()
        if motion.rotation is None:
            # A head as it was filmed keeps its brows, too.
            expression = fit.expression.float().index_copy(1, self._mouth, expression[:, self._mouth])
        if motion.rotation is not None and motion.translation is not None:
            # Where the template's own head comes through, ours must be at the same place.
            share = near.moves.float()[:, None]
            turn = turn.lerp(motion.rotation.float(), share)
            moved = moved.lerp(motion.translation.float(), share)
        lit, lain = light.expand(count, -1), place.expand(count, -1, -1)
        told = (expression, turn, moved, fit.camera, lit, lain)
        return self._faces(tuple(part.float() for part in told))

    def _faces(self, told: tuple[Tensor, ...]) -> Faces:
        """Faces of these rows; those that the block before had at its end are not rendered again."""
        before, known = self._last, self._known(told)
        new = [part[known:] for part in told]
        made = face_pictures(self.person.identity, self.person.texture, *new, self.config.side)
        if before is not None and known:
            made = Faces(*(torch.cat([x[-known:], y]) for x, y in zip(before[1], made, strict=True)))
        self._last = told, made
        return made

    def _known(self, told: tuple[Tensor, ...]) -> int:
        """How many of the first rows are the last ones of the block before."""
        if self._last is None:
            return 0
        count = min(BEFORE + AFTER, len(told[0]), len(self._last[0][0]))
        pairs = zip(self._last[0], told, strict=True)
        return count if all(torch.equal(old[-count:], new[:count]) for old, new in pairs) else 0
