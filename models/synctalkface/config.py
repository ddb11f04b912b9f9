"""Every number of SyncTalkFace's drawing stage, by preset.

Tags: [paper] said by the paper or its author, [ours] chosen here. Also ours, in every preset: rates that rise
and fall, gradients that are clipped, lip features that are levelled before the memory has them, and addresses
that stand still while lips are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from models.canvas.framing import FACE, MOUTH, Framing
from models.training.plan import Plan

__all__ = ["FRAMES", "PRESETS", "TalkerConfig", "talker_config"]

FRAMES = 5  # [paper] of a window, and of what the lip encoder sees for one frame
PRESETS = ("smoke", "cpu", "gpu")

Levels = tuple[tuple[int, int], ...]  # width and residual blocks of every size


@dataclass(frozen=True)
class TalkerConfig:
    """What the networks are, what they are trained with, and how long. Defaults are the paper's."""

    side: int = 128  # [paper]
    hearing: str = "mel"  # [paper] 0.2 s of log-mel; [ours] "ear": mouth shapes that MemFace's network hears
    hidden: int = 256  # of the ear's layers
    width: int = 512  # [paper] of features, slots and the bottleneck
    slots: int = 96  # [paper]
    scale: float = 16.0  # [paper] of cosines
    dropout: float = 0.5  # [paper]
    norm: bool = True  # [paper] batch norms
    shrink: int = 1  # [ours] 2: networks begin at half the picture's size
    first: int = 7  # [paper] kernel of the face encoder's first layer
    # Face encoder, finest first; decoder, coarsest first, and its last layer; lip encoder.
    face: Levels = ((16, 0), (32, 2), (64, 3), (128, 2), (256, 2), (512, 1))
    drawn: Levels = ((512, 1), (512, 2), (384, 2), (256, 2), (128, 2), (64, 2))
    last: int = 32
    lips: Levels = ((64, 0), (64, 3), (128, 2), (256, 2), (512, 1))
    critic: str = "half"  # [paper] one score for the lower half; [ours] "patches", or "" for nobody
    # [paper] "half": the lower half is hidden; [ours] "mask": what may be drawn anew, which pose alone tells.
    hides: str = "half"
    # [paper] "face": the whole picture is drawn; [ours] "mouth": only the mouth's canvas.
    draws: str = "face"
    bends: bool = False  # [ours] what is told reaches the decoder at every size, and not only at its start
    # What is compared to what the paper has.
    memory: bool = True
    audio_visual: bool = True
    visual_visual: bool = True
    # [paper] the lips' own feature; "recalled" by their own address, as the author's code has it
    lip_path: str = "own"
    deaf: float = 0.0  # [ours] share of frames that are drawn from lips or slots alone, without the sound
    # Losses; [paper] but for what is 0 here.
    weight_pixels: float = 10.0  # of pictures from 0 to 1
    weight_audio_visual: float = 0.2
    weight_visual_visual: float = 0.2
    weight_critic: float = 0.2
    weight_memory: float = 0.2  # of storing and aligning
    weight_features: float = 0.0
    weight_structure: float = 0.0
    mouth: float = 1.0  # the mouth's weight among pixels
    around: float = 1.0  # and that of what is not hidden
    # [ours] When what begins, as shares of the steps: slots are filled, then experts judge, then the critic.
    filled_at: float = 0.05
    synced_from: float = 0.2
    told_from: float = 0.5
    # [ours] Until experts judge, only windows' middle frames are drawn: neighbours teach next to nothing.
    singly: bool = False
    filled_rows: int = 1920  # frames that slots are filled from
    # [ours] What the ear hears is never quite what was fitted.
    noise: float = 0.25  # of the material's deviation, for a whole window
    wavering: float = 0.1  # and what comes and goes within it
    shifted: float = 0.2  # share of windows that hear a frame before or after
    light: float = 0.0  # by how much brightness and colours of a window may be others
    soft: float = 0.0  # how blurred windows of many people may be
    mirrored: float = 0.0  # share of windows
    kneaded: float = 0.0  # share of windows of many people whose mouths are moved about
    apart: int = 12  # frames between a frame and its reference
    rate: float = 1e-4  # [paper]
    critic_rate: float = 5e-4  # [paper]
    own_rate: float = 5e-5
    momentum: float = 0.5  # [paper] of who draws
    plan: Plan = field(default_factory=lambda: Plan(steps=200_000, batch=40))
    own_steps: int = 400
    own_batch: int = 4
    general: str | None = None  # bundled weights of just these networks, by which they draw anybody

    def __post_init__(self) -> None:
        known = {
            "hearing": ("mel", "ear"),
            "critic": ("half", "patches", ""),
            "hides": ("half", "mask"),
            "draws": ("face", "mouth"),
            "lip_path": ("own", "recalled"),
        }
        for name, among in known.items():
            if (told := getattr(self, name)) not in among:
                raise ValueError(f"{name} is one of {', '.join(map(repr, among))}, not {told!r}")

    @property
    def framing(self) -> Framing:
        """Of the pictures that are drawn."""
        return MOUTH if self.draws == "mouth" else FACE

    @property
    def inputs(self) -> int:
        """Channels of the face encoder: a frame, a reference, and what is hidden if that varies."""
        return 6 + (self.hides == "mask")

    def plan_of(self, personal: bool) -> Plan:
        """How the engine is to train."""
        if not personal:
            return self.plan
        every = max(1, self.own_steps // 10)
        return self.plan.changed(
            {
                "steps": self.own_steps,
                "batch": self.own_batch,
                "averaged_steps": self.own_steps / 10,
                "evaluate_every": every,
                "patience": 4,
            }
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> TalkerConfig:
        """What `as_dict` gave, also after JSON made lists of tuples; ValueError for unknown names."""
        strange = sorted(set(told) - {one.name for one in fields(cls)})
        if strange:
            raise ValueError(f"a talker's configuration has no {strange[0]!r}")
        levels = {name: tuple((a, b) for a, b in told[name]) for name in ("face", "drawn", "lips")}
        return cls(**{**told, **levels, "plan": Plan(**dict(told["plan"]))})


_SMALL: dict[str, Any] = {
    "hearing": "ear",
    "dropout": 0.1,
    "norm": False,
    "shrink": 2,
    "first": 3,
    "critic": "patches",
    "hides": "mask",
    "draws": "mouth",
    "bends": True,
    "singly": True,
    "momentum": 0.9,
    "filled_at": 0.05,
    "synced_from": 0.95,
    "told_from": 0.95,
    "weight_critic": 0.05,
    "weight_features": 5.0,
    "weight_structure": 2.5,
    "deaf": 0.3,
    "mouth": 4.0,
    "around": 0.15,
    "light": 0.15,
    "soft": 1.0,
    "mirrored": 0.5,
    "kneaded": 0.6,
}
_PRESETS = {
    "smoke": TalkerConfig(
        side=64,
        width=32,
        hidden=32,
        slots=12,
        face=((8, 0), (12, 1), (16, 1), (24, 1)),
        drawn=((24, 1), (16, 1), (16, 1), (12, 1)),
        last=8,
        lips=((8, 0), (12, 1), (16, 1)),
        rate=2e-3,
        critic_rate=1e-3,
        own_rate=5e-4,
        filled_rows=64,
        own_steps=10,
        own_batch=2,
        plan=Plan(steps=40, batch=2, averaged_steps=10, evaluate_every=20, patience=0),
        **_SMALL,
    ),
    "cpu": TalkerConfig(
        width=256,
        face=((32, 0), (64, 1), (96, 1), (128, 1), (192, 1)),
        drawn=((128, 1), (160, 1), (160, 1), (128, 1), (64, 1)),
        last=48,
        lips=((24, 0), (48, 1), (96, 1), (160, 1)),
        rate=6e-4,
        critic_rate=6e-4,
        own_rate=2e-4,
        plan=Plan(
            steps=4000,
            batch=12,
            averaged_steps=200,
            evaluate_every=200,
            patience=0,
            precision="bfloat16",
            channels_last=True,
        ),
        general="synctalkface",
        **_SMALL,
    ),
    "gpu": TalkerConfig(
        plan=Plan(
            steps=200_000,
            batch=40,
            averaged_steps=2000,
            evaluate_every=2000,
            patience=0,
            precision="bfloat16",
            channels_last=True,
        ),
    ),
}


def talker_config(preset: str) -> TalkerConfig:
    """ValueError for a preset that there is not."""
    if preset not in _PRESETS:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(_PRESETS)}")
    return _PRESETS[preset]
