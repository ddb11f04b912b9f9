"""How fast puppets are drawn: each of eight people, moving, on one core and on two.

python -m tests.bench.puppet_speed
"""

from __future__ import annotations

import multiprocessing
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from models.puppet import CONTROLS, INDEX, Puppet

SPAWN = multiprocessing.get_context("spawn")
SEEDS = range(8)
FRAMES = 40
NEEDED = 25.0


def draw(seed: int, size: int, ready: object, result: object) -> None:
    """Draws frames once everybody is ready; says how many a second."""
    puppet = Puppet(seed, size)
    rng = np.random.default_rng(seed)
    rows = np.zeros((FRAMES, len(CONTROLS)), np.float32)
    for name in ("jaw_open", "lips_wide", "smile_left", "brow_inner_raise"):
        rows[:, INDEX[name]] = rng.uniform(0, 0.7, FRAMES)
    poses = np.tile(puppet.rest_pose, (FRAMES, 1))
    poses[:, :3] += rng.uniform(-0.2, 0.2, (FRAMES, 3))
    puppet.render(rows[0], poses[0])
    ready.wait()  # type: ignore[attr-defined]
    begun = time.perf_counter()
    for row, pose in zip(rows, poses, strict=True):
        puppet.render(row, pose)
    result.put((seed, FRAMES / (time.perf_counter() - begun)))  # type: ignore[attr-defined]


def rates(seeds: list[int], size: int) -> dict[int, float]:
    """Frames a second of puppets that are drawn at the same time, a process each."""
    ready, result = SPAWN.Barrier(len(seeds)), SPAWN.Queue()
    workers = [SPAWN.Process(target=draw, args=(seed, size, ready, result)) for seed in seeds]
    for worker in workers:
        worker.start()
    found = dict(result.get() for _ in workers)
    for worker in workers:
        worker.join()
    return found


def main() -> int:
    for size in (256, 512):
        alone = [rates([seed], size)[seed] for seed in SEEDS]
        both = [sum(rates([seed, seed + 1], size).values()) for seed in SEEDS if seed % 2 == 0]
        print(
            f"{size}x{size}, 2x2 supersampled: one core {np.mean(alone):.1f} frames a second "
            f"(slowest person {min(alone):.1f}), two cores {np.mean(both):.1f} (slowest pair {min(both):.1f})"
        )
        if size == 256:
            enough = min(both) >= NEEDED
    print("at least 25 a second at 256 on two cores:", "yes" if enough else "NO")
    return 0 if enough else 1


if __name__ == "__main__":
    raise SystemExit(main())
