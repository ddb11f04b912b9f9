"""Draws a contact sheet: eight people saying six visemes, to be judged by eye.

python -m tests.bench.contact_sheet OUT.png [--size 256] [--seeds 0 1 ...]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.puppet import CONTROLS, INDEX, Puppet, about_neck

VISEMES: dict[str, dict[str, float]] = {
    "rest": {},
    "aa": {"jaw_open": 0.62, "lower_drop": 0.25, "upper_raise": 0.15},
    "ee": {"jaw_open": 0.1, "lips_wide": 0.9, "lower_drop": 0.5, "upper_raise": 0.4, "smile_left": 0.25},
    "oo": {"jaw_open": 0.18, "lips_round": 0.95},
    "f": {"jaw_open": 0.12, "lower_tuck": 0.9, "upper_raise": 0.3},
    "smile": {"smile_left": 0.8, "smile_right": 0.8, "cheek_raise": 0.5, "lower_drop": 0.4},
}  # fmt: skip
ANGLES = [(0, 0, 0), (2, 14, 1), (-2, -12, -2), (3, 22, 3), (-3, -20, 0), (2, 8, -4)]


def row(**values: float) -> np.ndarray:
    out = np.zeros(len(CONTROLS), np.float32)
    for name, value in values.items():
        out[INDEX[name]] = value
    return out


def sheet(seeds: list[int], size: int) -> np.ndarray:
    """People in rows, visemes in columns."""
    lines = []
    for seed in seeds:
        puppet = Puppet(seed, size)
        cells = [
            puppet.render(row(**values), about_neck(np.radians(angle), puppet.rest_pose))
            for values, angle in zip(VISEMES.values(), ANGLES, strict=True)
        ]
        lines.append(np.concatenate(cells, axis=1))
    return np.concatenate(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(options.seeds, options.size)).save(options.out)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
