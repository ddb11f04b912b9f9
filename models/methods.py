"""What every talking-face system shows to the rest of the house: a `Method` that trains and speaks.

A method names its stages of training; for each it gives a `Trainee`, which the one engine
(`models.training.engine`) trains from a `Bundle`; from the trained weights it makes a `Speaker`, which
listens to sound and draws on frames. All of this is tensors: files, devices, optimisers' plumbing,
whole pictures and videos are other people's work. Called by `models.train` and by `tasks`.

Shape legend: N rows of a bundle, B a batch or block, T frames of a template, n rows of a stream, M slots of
a memory, S side of a canvas, P side of a patch, H, W a picture's height and width.

What is told of sound and faces never carries pixels of the truth: leaks are kept out at the bundle.
Refinements worth knowing:
- `Method.version` is part of every checkpoint's recipe; `config_from` reads what headers hold.
- `Stage.general` names bundled weights to start from, which travel inside the bundle.
- `Speaker.meet` hears of the whole template before it draws: a canvas has one scale a shot.
- `View.run` changes where the picture jumps: whoever keeps a state over frames begins it anew there.
- `Trainee.helpers` are moved to the device with the networks, but neither trained nor saved.
- The engine judges before the first step too: general weights that training spoils are what is kept.
- Every tensor of a batch has the batch as its first axis: several devices share it by cutting there.
- A method with an attribute `references`, a number, is shown as many frames of the person.
- A speaker whose motion is `heard` tells by `silence` (K,) what it hears where nobody speaks.
- A speaker with `reach`, (before, after), draws a frame from the motion of so many frames around it, too:
  views then bring `near`.
- A method with `behind`, true or false, wants the template's `plates` of its last stage's side.
- A method with `poses`, true or false, moves heads; where a user wants the template's, its motion has no
  rotation when it draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from models.canvas.framing import MOUTH, Framing
from models.training.bundle import Bundle
from models.training.plan import Plan

__all__ = [
    "AROUND_S",
    "EXPERTS",
    "METHODS",
    "Drawn",
    "Fit",
    "Heard",
    "Memory",
    "Method",
    "Motion",
    "Near",
    "Person",
    "Plan",
    "Sound",
    "Speaker",
    "Stage",
    "Template",
    "Trainee",
    "Turn",
    "View",
    "find_method",
]

# By name, where the class is: importing this module must not import every system.
METHODS: dict[str, str] = {
    "dinet": "models.dinet.method:DINet",
    "facial": "models.facial.method:Facial",
    "memface": "models.memface.method:MemFace",
    "nearest": "models.nearest.method:Nearest",
    "synctalkface": "models.synctalkface.method:SyncTalkFace",
}


class Stage(NamedTuple):
    """One training in the life of a method."""

    name: str
    personal: bool  # trained on one identity, from general weights where there are any
    arrays: tuple[str, ...]  # what its bundle must hold
    general: str | None = None  # bundled weights (models/weights) that it starts from
    side: int = 0  # of the canvases in its bundle, pixels; 0 where it has none
    framing: Framing = MOUTH  # how much of the face they show
    optional: bool = False  # personal, but dubs go on without it: its general weights speak for anybody
    teachers: tuple[str, ...] = ()  # bundled weights that travel in its bundle, to be learned from


class Turn(NamedTuple):
    """Who learns now: the parameters of these optimisers; all others stand still.

    What those of `drawing` draw may be kept for a later turn of the step, which then learns from it.
    """

    name: str
    optimisers: tuple[str, ...]
    drawing: tuple[str, ...] = ()


class Trainee(Protocol):
    """What the engine trains. Attributes and methods are used in the order in which they stand here."""

    networks: Mapping[str, nn.Module]  # saved in the checkpoint as NETWORK/PARAMETER
    helpers: Mapping[str, nn.Module]  # moved along, never trained or saved: perceptual losses, tables
    averaged: tuple[str, ...]  # networks that are judged and saved as their moving average
    plan: Plan

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """By name; asked once, after the networks are on their device. The plan bends their rates."""
        ...

    def turns(self, step: int) -> Sequence[Turn]:
        """The turns of this step, in order; a function of the step alone."""
        ...

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        """CPU tensors of `plan.batch` rows; a function of (step, draw) alone, as it may run ahead."""
        ...

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars; "loss" is minimised, the rest is told. Means over the batch, under the plan's autocast."""
        ...

    def judge(self) -> dict[str, float]:
        """On held-out rows, without chance; "loss" decides what is best and when to stop.

        Networks are in evaluation mode, without gradients, averaged where they are to be.
        `models.training.device_of(network)` says where they are.
        """
        ...


class Motion(NamedTuple):
    """What a face does, row by row at a speaker's rate (or at a template's frames)."""

    expression: Tensor  # (n, 64)
    rotation: Tensor | None = None  # (n, 3) radians, where the method moves the head
    translation: Tensor | None = None  # (n, 3) mm
    blink: Tensor | None = None  # (n,) 0 open to 1 shut
    heard: Tensor | None = (
        None  # (n, K) what the method itself makes of the sound, where it has no expression
    )
    # Of a view alone: expression at `AROUND_S` before and after, silence already closed, (n, 5, 64).
    around: Tensor | None = None


# Where `Motion.around` and a bundle's array of that name are read, seconds from the frame's middle.
AROUND_S = (-0.08, -0.04, 0.0, 0.04, 0.08)


class Heard(NamedTuple):
    """A block of sound features on the 50-a-second clock; mel, where wanted, on the 80-a-second one."""

    speech: Tensor  # (n, 29) log-probabilities
    loudness: Tensor  # (n,) LUFS
    voice: Tensor  # (n,) 0 to 1, 0 where nobody speaks
    mel: Tensor | None = None  # (m, 80) log-mel


# Blocks in order, of any sizes, as long as there is sound: minutes or hours, never held at once.
Sound = Iterator[Heard]


class Fit(NamedTuple):
    """Rows of a template's morphable fit; OpenFace's camera frame."""

    rotation: Tensor  # (T, 3) radians
    translation: Tensor  # (T, 3) mm
    camera: Tensor  # (T, 3) focal length, optical axis x, y in pixels of the clip
    light: Tensor  # (T, 27)
    expression: Tensor  # (T, 64) as filmed: only what is not lips may be taken from it


class Template(NamedTuple):
    """A whole clip without its pictures: what must be known before its first frame is drawn."""

    fit: Fit
    shot: Tensor  # (T,) number of the camera's shot
    seen: Tensor  # (T,) bool: a face is there; rows of `fit` elsewhere mean nothing
    height: int
    width: int
    rate: float  # frames a second
    # By shot, (S, S, 3) uint8: what lies behind the head on `models.canvas.still`'s canvas; see `Method`.
    plates: Mapping[int, Tensor] | None = None
    walked: tuple[int, int] | None = None  # frames that are walked over; None: any


class Near(NamedTuple):
    """What heads do around a view's frames: rows (before + B + after, ...), which end with the view's run."""

    fit: Fit  # as filmed
    motion: Motion  # as wanted
    moves: Tensor  # 0 to 1: at 0 the head is where it was filmed, whatever is wanted


class View(NamedTuple):
    """A block of template frames with faces, and the motion meant for them."""

    pictures: Tensor  # (B, H, W, 3) uint8 RGB; far from the head colours may be a step or two off
    frames: Tensor  # (B,) rows of the template that they are
    run: Tensor  # (B,) changes where the picture jumps: a cut, a missing face, a leap in the template
    fit: Fit  # rows (B, ...)
    motion: Motion  # rows (B, ...), already at the template's rate
    speaks: Tensor  # (B,) 0 to 1: 0 leaves the frame as it is
    near: Near | None = None  # for a speaker with `reach`


class Drawn(NamedTuple):
    """What to lay on the frames of a view. The caller pastes; where alpha is 0 nothing changes."""

    patches: Tensor  # (B, S, S, 3) uint8 RGB
    places: Tensor  # (B, 2, 3) affine, canvas pixels to picture pixels
    alpha: Tensor  # (B, S, S) 0 to 1, exactly 0 outside the mask


class Memory(NamedTuple):
    """An explicit memory: mouth shapes and their pictures."""

    keys: Tensor  # (M, 40, 3) canonical mouth vertices, mm
    patches: Tensor  # (M, P, P, 3) uint8 RGB
    points: Tensor  # (M, V, 2) where the face's mesh lies on each, in shares of P
    turn: Tensor  # (M, 3) rotation of the head, radians


class Person(NamedTuple):
    """Of whom a speaker speaks."""

    identity: Tensor  # (80,)
    texture: Tensor  # (80,)
    memory: Memory | None
    statistics: Mapping[str, Tensor]  # of the material: "expression_mean" (64,), "expression_std" (64,)
    # (R, S, S, 3) uint8 canvases of the person, whole, of the last stage's side and framing; see `Method`.
    references: Tensor | None = None


class Speaker(Protocol):
    """One person, ready to speak. May keep a state; one speaker speaks one dub."""

    rate: float | None  # rows of motion a second; None: as many as the template has frames

    def listen(self, sound: Sound) -> Iterator[Motion]:
        """Motion for the whole sound, block by block, in bounded memory. Look-ahead is the method's own."""
        ...

    def meet(self, template: Template) -> None:
        """The template that views come from; before the first `draw`, and again when it changes."""
        ...

    def draw(self, view: View) -> Drawn:
        """What to lay on these frames."""
        ...


class Method(Protocol):
    """A talking-face system. Its configuration is a frozen dataclass with `as_dict` and `from_dict`."""

    name: str
    version: int  # counts up when the same configuration would train to other weights

    def config(self, preset: str) -> Any:
        """Presets: smoke, cpu, gpu; ValueError for others."""
        ...

    def config_from(self, told: Mapping[str, Any]) -> Any:
        """A configuration from what its `as_dict` said, as headers of bundles and checkpoints hold it."""
        ...

    def stages(self, config: Any) -> tuple[Stage, ...]:
        """In the order of training."""
        ...

    def trainee(self, stage: str, config: Any, bundle: Bundle, start: Mapping[str, Tensor] | None) -> Trainee:
        """Networks of a stage with its material; `start`: general weights by NETWORK/PARAMETER.

        Torch is seeded from the bundle when this is called; the plan is `bundle.plan(the preset's)`.
        """
        ...

    def speaker(self, config: Any, weights: Mapping[str, Mapping[str, Tensor]], person: Person) -> Speaker:
        """From checkpoints' tensors by stage, each by NETWORK/PARAMETER."""
        ...


# What is trained as methods are, but never dubs.
EXPERTS: dict[str, str] = {"sync": "models.sync.method:Sync"}


def find_method(name: str) -> Method:
    """The method or expert of this name; ValueError where there is none."""
    known = METHODS | EXPERTS
    if name not in known:
        raise ValueError(f"no method is called {name!r}; there are {', '.join(sorted(METHODS))}")
    module, _, attribute = known[name].partition(":")
    return cast(Method, getattr(import_module(module), attribute)())
