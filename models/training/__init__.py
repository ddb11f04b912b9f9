"""The one training engine of all methods: bundles in, checkpoints out.

Called by `models.train` and `tasks.training`.
"""

from models.training.bundle import HELD_OUT, TRAIN, About, Bundle, Segment, filling_bundle, write_bundle
from models.training.checkpoint import load_network, read_checkpoint, read_told, write_checkpoint
from models.training.devices import device_of
from models.training.plan import Plan

__all__ = [
    "HELD_OUT",
    "TRAIN",
    "About",
    "Bundle",
    "Plan",
    "Segment",
    "device_of",
    "filling_bundle",
    "load_network",
    "read_checkpoint",
    "read_told",
    "write_bundle",
    "write_checkpoint",
]
