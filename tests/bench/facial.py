"""FACIAL's performer: what are its parts worth?

    python -m tests.bench.facial FOLDER [STEPS] [--preset P]

Trains general weights for so many steps with one part off in turn, from FOLDER/general.bundle (which
`python -m tasks.manners FOLDER` writes), and judges each on people held out. How somebody is performed in the
end is measured through the product, by `tests.bench.performed`. One thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from models.facial.config_performer import PerformerConfig, TermWeights
from models.facial.training_performer import PerformerTrainee
from models.training import Bundle
from models.training.devices import Place
from models.training.engine import fingerprint_of, train

JUDGED = ("expression", "pose", "blink", "opening_correlation", "liveliness", "quickness")


def judged(config: PerformerConfig, bundle: Path, steps: int) -> Mapping[str, float]:
    """How the best network of a training was judged."""
    trainee = PerformerTrainee(config, Bundle(bundle), None)
    trainee.plan = trainee.plan.changed({"steps": steps, "evaluate_every": steps})
    place, print_of = Place(torch.device("cpu")), fingerprint_of("bench", trainee.plan, config.as_dict())
    with tempfile.TemporaryDirectory() as folder:
        return train(trainee, Path(folder), print_of, place=place).best.judged


def variants(config: PerformerConfig) -> dict[str, PerformerConfig]:
    still = {f"{name}_change": 0.0 for name in ("expression", "pose", "blink")}
    general: TermWeights = replace(config.general_terms, **still)
    return {
        "whole": config,
        "no context": replace(config, context=False),
        "no phonetic branch": replace(config, phonetic=False),
        "no terms of change": replace(config, general_terms=general),
        "no critic": replace(config, adversarial=False),
        "pose alone": replace(config, lone_pose=True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", type=int, nargs="?", default=300)
    parser.add_argument("--preset", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| | " + " | ".join(JUDGED) + " |\n|---|" + "---|" * len(JUDGED))
    for name, one in variants(PerformerConfig.preset(asked.preset)).items():
        told = judged(one, asked.folder / "general.bundle", asked.steps)
        print(f"| {name} | " + " | ".join(f"{told[key]:.3f}" for key in JUDGED) + " |", flush=True)


if __name__ == "__main__":
    main()
