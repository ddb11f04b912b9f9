"""The explicit memory: how different its mouths are, how fast they are chosen, and how fast one is found.

python -m tests.bench.memory [--footage FOLDER_OF_FEATURES_ZARR]

Without features of real footage, keys are those of a mouth whose coefficients wander as speech makes them.
One thread throughout; retrieval and FAISS's flat index take turns in one run, and the best of several counts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from models.memory.explicit import nearest, select, smallest
from models.morphable.builtin import builtin
from tasks.threads import one_thread

FRAMES, SLOTS, QUERIES, LARGE, FOUND, TURNS = 7500, 300, 1000, 10_000, 5, 7


def wandering(frames: int, seed: int = 0) -> np.ndarray:
    """Canonical mouths (F, 120), as smooth in time as speech at 25 frames a second."""
    draw = np.random.default_rng(seed)
    free = draw.standard_normal((frames + 8, 64)).astype(np.float32)
    kernel = np.hanning(9)[1:-1].astype(np.float32)
    kernel /= np.linalg.norm(kernel)
    smooth = np.stack([np.convolve(free[:, i], kernel, "valid") for i in range(64)], 1)[:frames]
    return builtin().mouth_vertices(np.zeros(80, np.float32), 0.3 * smooth).reshape(len(smooth), -1)


def filmed(path: Path) -> np.ndarray:
    """Keys of a clip's features."""
    from storage import clips
    from tasks.remember import frames_of

    keys = frames_of(clips.open_clip(path), 64).keys
    return keys[np.isfinite(keys).all((1, 2))].reshape(-1, 120)


def chosen(name: str, keys: np.ndarray) -> str:
    draw = np.random.default_rng(1)
    started = time.perf_counter()
    kept = select(keys, SLOTS)
    seconds = time.perf_counter() - started
    chance = np.mean([smallest(keys[draw.choice(len(keys), SLOTS, replace=False)]) for _ in range(10)])
    return (
        f"{name:<22} {len(keys):>6} {SLOTS:>6} {kept.distance:>9.3f} {chance:>9.3f} "
        f"{kept.distance / chance:>7.1f} {seconds:>8.2f}"
    )


def found() -> tuple[float, float, float]:
    """Milliseconds of ours and of FAISS, and the share of slots on which they agree."""
    import faiss

    faiss.omp_set_num_threads(1)
    keys, asked = wandering(LARGE, 2), wandering(QUERIES, 3)
    index = faiss.IndexFlatL2(keys.shape[1])
    index.add(keys)
    ours, theirs = torch.from_numpy(keys), torch.from_numpy(asked)
    spent: dict[str, list[float]] = {"ours": [], "faiss": []}
    for _ in range(TURNS):
        started = time.perf_counter()
        slots = nearest(theirs, ours, FOUND)[1]
        between = time.perf_counter()
        told = index.search(asked, FOUND)[1]
        spent["ours"].append(between - started)
        spent["faiss"].append(time.perf_counter() - between)
    return 1e3 * min(spent["ours"]), 1e3 * min(spent["faiss"]), float((slots.numpy() == told).mean())


@one_thread()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--footage", type=Path, help="features.zarr of a clip")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("keys                   frames  slots   least mm  chance mm  times  seconds")
    print(chosen("wandering mouth", wandering(FRAMES)))
    if options.footage is not None:
        print(chosen("footage", filmed(options.footage)))
    ours, theirs, agreed = found()
    print(
        f"\n{QUERIES} queries, {LARGE} slots, {FOUND} found: {ours:.1f} ms; FAISS flat {theirs:.1f} ms; ",
        end="",
    )
    print(f"{agreed:.2%} of slots the same")


if __name__ == "__main__":
    main()
