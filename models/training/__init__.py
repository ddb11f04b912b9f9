"""The one training engine of all methods: bundles in, checkpoints out. Called by `models.train` and `tasks`."""

from models.training.bundle import HELD_OUT, TRAIN, About, Bundle, Segment, filling_bundle, write_bundle
from models.training.plan import Plan

__all__ = [
    "HELD_OUT",
    "TRAIN",
    "About",
    "Bundle",
    "Plan",
    "Segment",
    "filling_bundle",
    "write_bundle",
]
