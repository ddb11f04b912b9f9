"""A trained network as the files that the package carries: weights in 16 bits, and their line in the list.

Called by `flows.train_acoustic`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from models.acoustic.network import Network

__all__ = ["list_weights", "save_weights", "tensors_of"]


def tensors_of(network: Network) -> dict[str, np.ndarray]:
    """Arrays by name; 16-bit floats, which change the outputs by less than a thousandth."""
    arrays = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    return {
        name: value.astype(np.float16) if value.dtype.kind == "f" else value
        for name, value in arrays.items()
        if not name.endswith("num_batches_tracked")
    }


def save_weights(network: Network, file: Path, told: dict[str, Any]) -> Path:
    """Write a safetensors file whose header says what the network is and how it was made; all or nothing."""
    metadata = {**network.config.as_metadata(), "training": json.dumps(told, sort_keys=True)}
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".part")
    beside.write_bytes(save(tensors_of(network), metadata))
    beside.replace(file)
    return file


def list_weights(file: Path, listing: Path, about: str, card: str) -> None:
    """Put the file's line into the `weights.json` beside it."""
    lines = json.loads(listing.read_text()) if listing.is_file() else {}
    content = file.read_bytes()
    lines[file.stem] = {
        "file": file.name,
        "format": "safetensors",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "licence": "Apache-2.0",
        "about": about,
        "card": card,
    }
    listing.write_text(json.dumps(lines, indent=2) + "\n")
