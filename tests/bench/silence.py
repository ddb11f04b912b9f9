"""How fast lips move while somebody speaks, and how fast the longer nobody has: of true films and of dubs.

    python -m tests.bench.silence FILM [FILM ...]

Percent of the distance between the eyes a second, and how many frames. Told apart is how far the nearest
speech lies, before a frame or after it; `tasks.judging.lips.leakage` counts from .2 s on. A true film tells
what the person does, and the films in a folder of `tests.bench.side_by_side` what the methods do.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from storage.media import VideoReader
from tasks._looker import heard_in
from tasks.judging.lips import speed_within
from tasks.watching import watch

_SPEAKS = 0.5
FAR_S = (0.2, 0.4, 0.7, np.inf)


def by_distance(
    gaps: NDArray[np.float64], speaks: NDArray[np.bool_], rate: float
) -> Iterator[tuple[float, int]]:
    """Mean speed and frames: in speech, then in each stretch of `FAR_S` away from it."""
    far = distance_transform_edt(~speaks) / rate if speaks.any() else np.full(len(speaks), np.inf)
    chosen = [speaks, *((far > low) & (far <= high) for low, high in pairwise(FAR_S))]
    for frames in chosen:
        speed = speed_within(frames, gaps, rate)
        known = speed[np.isfinite(speed)]
        yield (float(known.mean()) if len(known) else np.nan), len(known)


def row(film: Path) -> str:
    """A film's line of the table."""
    frames = len(VideoReader(film))
    seen = watch(film, 0, frames)
    _, voice = heard_in(film, frames, seen.rate)
    told = by_distance(seen.gaps, voice[: len(seen.gaps)] > _SPEAKS, seen.rate)
    cells = [f"{mean:.1f} <small>{count}</small>" if count else "" for mean, count in told]
    return f"| {film.parent.name}/{film.stem} | " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("films", type=Path, nargs="+")
    films = parser.parse_args().films
    stretches = [f"{low:g} to {high:g} s away" for low, high in pairwise(FAR_S[:-1])]
    stretches.append(f"more than {FAR_S[-2]:g} s away")
    print("| | in speech | " + " | ".join(stretches) + " |\n" + "|---" * (len(FAR_S) + 1) + "|")
    for film in films:
        print(row(film), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
