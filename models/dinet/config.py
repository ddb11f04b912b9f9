"""Every number of DINet, by preset. `gpu` is the paper's; `cpu` as much of it as one core learns in an hour.

Tags: [paper] what the paper or its authors' training says, [ours] chosen here. Also ours, in every preset:
rates that rise and fall, gradients that are clipped, optimisers' momenta, the network that perceives (so that
the weight of what it sees stands in another unit), and one set of references for all frames of a clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from models.memface.config_expression import ExpressionConfig
from models.training.plan import Plan

__all__ = ["Course", "DINetConfig", "Losses", "Widths", "dinet_config"]


@dataclass(frozen=True)
class Widths:
    """What the drawing network is. As it stands here, the paper's."""

    first: int = 64  # channels at full size
    deep: int = 256  # at a quarter of it, where features are moved
    code: int = 128  # of the alignment and of the sound, each
    last: int = 128  # where the picture is made
    ends: int = 7  # kernels of the first and the last convolutions
    wide: tuple[int, int] = (11, 7)  # of the alignment
    before: int = 4  # residual blocks on each side of the warp
    after: int = 4
    heard: int = 29  # numbers in each of five rows
    norm: bool = True
    loud: float = 1.0  # what is told, times this
    told: bool = False  # [ours] blocks after the warp hear the code, too
    compat: bool = False  # sample as the authors' weights were trained
    deform: bool = True  # off: the references' features stay where they are
    inpaint: bool = True  # off: the decoder does not see the source's
    warp: str = "adaat"  # or "attention", "flow"


@dataclass(frozen=True)
class Losses:
    """What is minimised; the weights stand for themselves."""

    perception: float = 10.0  # [paper]
    pixels: float = 0.0
    structure: float = 0.0
    mouth: float = 1.0  # how much the mouth matters beside the rest of the hole
    around: float = 1.0  # and how much what is not hidden
    fooled: float = 1.0  # [paper]; 0: nobody tells apart
    sync: float = 0.1  # [paper], of clips
    critics: tuple[int, ...] = (128, 256, 256, 256)  # [paper]


@dataclass(frozen=True)
class Course:
    """One training, coarse to fine; the last is what persons start from."""

    name: str
    side: int  # of the square canvas, 104 / 64 of the mouth's
    plan: Plan
    rate: float = 1e-4
    window: int = 1  # frames that are trained together: 5 makes a clip
    told_from: float = 0.0  # share of the steps after which somebody tells apart
    own: Plan | None = None  # of a person, where the course is the last
    own_rate: float = 2e-5


@dataclass(frozen=True)
class DINetConfig:
    """The network, its courses, and what it hears by."""

    courses: tuple[Course, ...]
    hearing: str = "ear"  # or "symbols"
    widths: Widths = field(default_factory=Widths)
    losses: Losses = field(default_factory=Losses)
    listening: ExpressionConfig = field(default_factory=ExpressionConfig)
    # What an ear gets wrong, in shares of the material's deviation: for a whole window, and row by row.
    noise: float = 0.25
    wavering: float = 0.1
    shifted: float = 0.3  # share of windows that are told the mouth of the frame before or after
    light: float = 0.08  # by how much colours and brightness of a sample are changed
    soft: float = 0.0  # how blurred samples of many people may be
    kneaded: float = 0.0  # share of samples of many people whose mouths are moved about
    apart: int = 12  # rows between a frame and its references
    at_once: int = 8  # frames that are drawn together
    general: str | None = None  # bundled weights of just this network, by which it draws anybody

    @property
    def side(self) -> int:
        """Of the canvases that are drawn in the end."""
        return self.courses[-1].side

    def course(self, name: str) -> Course:
        """ValueError where there is none of this name."""
        for one in self.courses:
            if one.name == name:
                return one
        raise ValueError(f"dinet has no stage {name!r}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> DINetConfig:
        """What `as_dict` gave, also after JSON made lists of tuples."""
        return cls(
            **{
                **told,
                "courses": tuple(_course(one) for one in told["courses"]),
                "widths": Widths(**_tupled(told["widths"])),
                "losses": Losses(**_tupled(told["losses"])),
                "listening": ExpressionConfig.from_dict(told["listening"]),
            }
        )


def _tupled(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}


def _course(told: Mapping[str, Any]) -> Course:
    own = told["own"]
    plans = {"plan": Plan(**told["plan"]), "own": None if own is None else Plan(**own)}
    return Course(**{**told, **plans})


_FAST: dict[str, Any] = {"precision": "bfloat16", "channels_last": True, "patience": 0}
_GPU_PLAN = Plan(steps=131_000, batch=24, evaluate_every=2000, averaged_steps=1000, **_FAST)
_OWN_GPU = Plan(steps=4000, batch=4, evaluate_every=200, averaged_steps=200, **{**_FAST, "patience": 5})

_GPU = DINetConfig(
    courses=(
        Course("frame64", 104, _GPU_PLAN),
        Course("frame128", 208, replace(_GPU_PLAN, steps=91_000, batch=80)),
        Course("frame256", 416, replace(_GPU_PLAN, steps=121_000, batch=12)),
        # [ours] 4 where the paper has 3, which two cards could not share.
        Course("clip256", 416, replace(_GPU_PLAN, steps=58_000, batch=4), window=5, own=_OWN_GPU),
    ),
    hearing="symbols",
    light=0.0,
)
_CPU = DINetConfig(
    courses=(
        Course(
            "frame64",
            104,
            Plan(2600, 8, evaluate_every=200, averaged_steps=100, **_FAST),
            8e-4,
            told_from=1.0,  # what is still a blur needs nobody to say so
        ),
        Course(
            "frame",
            208,
            Plan(1000, 4, evaluate_every=200, averaged_steps=100, **_FAST),
            4e-4,
            told_from=0.5,
            own=Plan(300, 3, evaluate_every=50, averaged_steps=50, **{**_FAST, "patience": 4}),
            own_rate=2e-4,
        ),
    ),
    widths=Widths(32, 128, 64, 32, 5, (5, 3), 1, 3, 120, norm=False, loud=3.0, told=True),
    losses=Losses(1.0, 2.0, 0.5, 4.0, 0.25, 0.02, 0.0, (32, 64, 64, 64)),
    kneaded=0.6,
    general="dinet",
)
_SMOKE = replace(
    _CPU,
    general=None,
    courses=(
        Course("frame64", 52, Plan(20, 4, averaged_steps=10, evaluate_every=10, patience=0), 2e-3, 1, 1.0),
        Course(
            "frame",
            52,
            Plan(40, 4, averaged_steps=10, evaluate_every=20, patience=0),
            2e-3,
            told_from=0.5,
            own=Plan(20, 4, averaged_steps=5, evaluate_every=10, patience=0),
            own_rate=1e-3,
        ),
    ),
    widths=Widths(8, 24, 16, 8, 3, (3, 3), 1, 1, 120, norm=False, loud=3.0, told=True),
    listening=ExpressionConfig.preset("smoke"),
    losses=Losses(1.0, 2.0, 0.5, 4.0, 0.25, 0.02, 0.0, (8, 8)),
)
_PRESETS = {"smoke": _SMOKE, "cpu": _CPU, "gpu": replace(_GPU, listening=ExpressionConfig.preset("gpu"))}


def dinet_config(preset: str) -> DINetConfig:
    """ValueError for a preset that there is not."""
    if preset not in _PRESETS:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(_PRESETS)}")
    return _PRESETS[preset]
