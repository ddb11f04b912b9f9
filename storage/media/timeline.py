"""The constant-rate timeline: which source frame stands at which moment. Pure functions on timestamps.

Anyone may call this. Time zero is the first shown frame. Frame i of the timeline is the last source
frame whose timestamp is earlier than the middle of slot i, (i + 1/2) / rate, less one tick of the
container's clock: sources of constant rate map one to one however their timestamps were rounded, a
variable rate gets the nearest frame with no lag on average, and gaps repeat the frame before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import floor, lcm

import numpy as np
from numpy.typing import NDArray

__all__ = ["STANDARD_RATES", "Timeline", "choose_rate"]

_NTSC = [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120, 240)]
STANDARD_RATES: tuple[Fraction, ...] = (
    *(Fraction(n) for n in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)),
    Fraction(25, 2),
    Fraction(15000, 1001),
    *_NTSC,
)
_SLOWEST, _FASTEST = Fraction(1), Fraction(240)


def _is_constant(times: NDArray[np.int64], tick: Fraction, rate: Fraction) -> bool:
    ideal = np.arange(len(times)) * float(1 / (rate * tick))
    error = (times - times[0]) - ideal
    # Both ends are rounded to the container's clock: a spread of two ticks is still a constant rate.
    slack = min(2.0, float(1 / (rate * tick)) / 4)
    return bool(error.max() - error.min() <= slack)


def _candidates(mean: Fraction, hints: Iterable[Fraction]) -> Iterator[Fraction]:
    hints = [hint for hint in hints if abs(hint / mean - 1) < Fraction(1, 50)]
    near = sorted(STANDARD_RATES, key=lambda rate: abs(rate - mean))
    yield from (hint for hint in hints if hint in STANDARD_RATES)
    yield from (rate for rate in near if abs(rate / mean - 1) < Fraction(1, 50))
    yield from hints
    yield mean.limit_denominator(1001)


def choose_rate(
    times: NDArray[np.int64], tick: Fraction, hints: Iterable[Fraction] = ()
) -> tuple[Fraction, bool]:
    """The constant rate that serves these timestamps best, and whether they vary."""
    hints = [hint for hint in hints if _SLOWEST <= hint <= _FASTEST]
    if len(times) < 2:
        return (hints[0] if hints else Fraction(25)), False
    mean = Fraction(len(times) - 1, int(times[-1] - times[0])) / tick
    for rate in _candidates(mean, hints):
        if _SLOWEST <= rate <= _FASTEST and _is_constant(times, tick, rate):
            return rate, False
    return _nominal(times, tick, mean), True


def _nominal(times: NDArray[np.int64], tick: Fraction, mean: Fraction) -> Fraction:
    # A phone that drops frames in the dark still runs at its usual distance most of the time.
    usual = 1 / (Fraction(float(np.median(np.diff(times)))) * tick)
    wanted = min(max(usual, mean, _SLOWEST), _FASTEST)
    near = [rate for rate in STANDARD_RATES if abs(rate / wanted - 1) < Fraction(1, 20)]
    if not near:
        return wanted.limit_denominator(1001)
    return min(near, key=lambda rate: (_off_grid(times, tick, rate), abs(rate - wanted)))


def _off_grid(times: NDArray[np.int64], tick: Fraction, rate: Fraction) -> float:
    places = (times - times[0]) * float(tick * rate)
    return round(float(np.abs(places - np.round(places)).mean()), 2)


@dataclass(frozen=True)
class Timeline:
    """Slots of constant rate over the sorted timestamps of the shown frames (in ticks)."""

    times: NDArray[np.int64]
    tick: Fraction
    last_duration: int
    rate: Fraction

    def __len__(self) -> int:
        if len(self.times) == 0:
            return 0
        span = int(self.times[-1]) - int(self.times[0]) + self.last_duration
        return max(1, floor(span * self.tick * self.rate + Fraction(1, 2)))

    @property
    def duration(self) -> Fraction:
        """Seconds from the first slot to the end of the last."""
        return len(self) / self.rate

    def source(self, slot: int) -> int:
        """The number of the source frame shown in this slot."""
        step, margin, unit = self._grid
        until = -((margin - (2 * slot + 1) * step) // unit)  # rounded up
        found = np.searchsorted(self.times, int(self.times[0]) + until, side="left")
        return max(0, int(found) - 1)

    @cached_property
    def _grid(self) -> tuple[int, int, int]:
        """Half a slot and the margin before its end, in ticks, as whole numbers over a third one.

        Fractions of their own for every slot would take as long as drawing a small picture.
        """
        half = 1 / (2 * self.rate * self.tick)
        margin = min(self.tick, 1 / (8 * self.rate)) / self.tick
        unit = lcm(half.denominator, margin.denominator)
        return int(half * unit), int(margin * unit), unit
