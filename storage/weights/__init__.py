"""Weights: bundled with the package, given by the user, or downloaded when the user asks for it.

Called by `tasks` (`Registry().find(name)` gives a checked path) and by the command line. Only safetensors and
TensorFlow Lite files are read; a pickle is never loaded, and official third-party `.pth` files are only found
and checked against their pinned checksum here.
"""

from storage.weights.registry import Found, Registry, Standing
from storage.weights.sniff import check_format, refuse_pickle, sniff
from storage.weights.table import TABLE, Weights, bundled
from storage.weights.tensors import Tensors, open_safetensors

__all__ = [
    "TABLE",
    "Found",
    "Registry",
    "Standing",
    "Tensors",
    "Weights",
    "bundled",
    "check_format",
    "open_safetensors",
    "refuse_pickle",
    "sniff",
]
