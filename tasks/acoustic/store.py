"""Takes on disk: shards of log-mel frames and phones, made once and read by every training that follows.

A shard's content depends on the plan and its number alone, so an interrupted run goes on where it stopped.
Called by `tasks.acoustic.work`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.acoustic.config import AcousticConfig
from storage.errors import MemdubError, WorkError
from tasks.acoustic.takes import TAKE_S, Take, nothing_said, takes
from tasks.acoustic.voices import HELD_OUT, Speaker, speakers

__all__ = ["Plan", "Shard", "make", "shards"]

_FRONT_END = ("rate", "hop", "window", "spectrum", "bands", "lowest_hz", "highest_hz", "quietest")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How much to synthesize, from which voices."""

    hours: float
    voices: tuple[Speaker, ...]
    seed: int = 0
    copies: int = 2
    takes_a_shard: int = 64
    silent_share: float = 0.05

    @classmethod
    def of_this_machine(cls, hours: float, takes_a_shard: int = 64, engines: Sequence[str] = ()) -> Plan:
        """All voices that are here, or those of some synthesizers, less those that only tests may hear."""
        voices = (voice for voice in speakers(engines) if voice.voice not in HELD_OUT)
        return cls(hours, tuple(voices), takes_a_shard=takes_a_shard)

    @property
    def shards(self) -> int:
        return max(1, round(self.hours * 3600 / TAKE_S / self.takes_a_shard))

    def key(self, config: AcousticConfig) -> str:
        """Names the folder: another front end, or other voices, are other data; more hours are more of it."""
        ears = {name: value for name, value in asdict(config).items() if name in _FRONT_END}
        told = {**asdict(self), "hours": 0, "front end": ears}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shard:
    """mel: (takes, 2400, bands) float16; phones: (takes, 1200) uint8; languages: (takes,) text."""

    mel: NDArray[np.float16]
    phones: NDArray[np.uint8]
    languages: NDArray[np.str_]


def make(
    plan: Plan, config: AcousticConfig, folder: Path, tell: Callable[[int, int], None] = lambda done, of: None
) -> Path:
    """Synthesize what is not there yet; the folder of the shards."""
    place = folder / plan.key(config)
    place.mkdir(parents=True, exist_ok=True)
    for number in range(plan.shards):
        file = place / f"{number:05d}.npz"
        if not file.is_file():
            _write(file, _shard(plan, number, config))
        tell(number + 1, plan.shards)
    return place


def shards(place: Path, count: int | None = None) -> Iterator[Shard]:
    """The first `count` shards that are there."""
    for file in sorted(place.glob("[0-9]*.npz"))[:count]:
        with np.load(file, allow_pickle=False) as content:
            yield Shard(content["mel"], content["phones"], content["languages"])


def _shard(plan: Plan, number: int, config: AcousticConfig) -> Shard:
    draw = np.random.default_rng([plan.seed, number])
    shares = np.array([voice.share for voice in plan.voices])
    made: list[Take] = []
    failed = 0
    while len(made) < plan.takes_a_shard:
        seed = int(draw.integers(2**31))
        if draw.random() < plan.silent_share:
            noise = draw.standard_normal(TAKE_S * config.rate).astype(np.float32)
            made.append(nothing_said(noise, draw, config))
            continue
        voice = plan.voices[draw.choice(len(shares), p=shares / shares.sum())]
        more = _tried(voice, seed, plan.copies, config)
        failed = 0 if more else failed + 1
        if failed > 20:
            raise WorkError(
                "no voice says anything", where="speech", do="check espeak-ng, flite and festival"
            )
        made += more
    return _stacked(made[: plan.takes_a_shard])


def _tried(voice: Speaker, seed: int, copies: int, config: AcousticConfig) -> Sequence[Take]:
    """One voice that stumbles over a sentence must not end hours of work."""
    try:
        return takes(voice, seed, copies, config)
    except MemdubError as error:
        _log.warning("%s, seed %d: %s", voice.name, seed, error)
        return []


def _stacked(made: Sequence[Take]) -> Shard:
    return Shard(
        np.stack([take.mel for take in made]),
        np.stack([take.phones for take in made]),
        np.array([take.language for take in made]),
    )


def _write(file: Path, shard: Shard) -> None:
    beside = file.with_suffix(".part")
    with beside.open("wb") as stream:
        np.savez(stream, mel=shard.mel, phones=shard.phones, languages=shard.languages)
    beside.replace(file)
