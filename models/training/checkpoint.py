"""Checkpoints: the trained networks of one stage, and in the header all that is known of them.

Written by `models.train` and `tasks.training`; read by whoever makes a speaker.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from models.training import files

__all__ = ["load_network", "read_checkpoint", "read_told", "write_checkpoint"]

_KEY = "memdub.checkpoint"


def write_checkpoint(path: Path | str, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> Path:
    """Tensors by NETWORK/PARAMETER; all or nothing."""
    files.write(Path(path), _KEY, told, tensors)
    return Path(path)


def read_checkpoint(path: Path | str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What is told of it, and its tensors; ValueError if it is no checkpoint, or was damaged."""
    return files.read(Path(path), _KEY)


def read_told(path: Path | str) -> dict[str, Any]:
    """Only what is told of it."""
    return files.read_header(Path(path), _KEY)


def load_network(network: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Put a network's tensors where they belong; ValueError if they do not fit."""
    own = {
        key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")
    }
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise ValueError(f"weights do not fit the network {name!r}: {first}") from error
