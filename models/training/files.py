"""Safetensors files that are written whole or not at all, and that notice when a byte of them changed.

Private to `training`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["read", "read_header", "write"]

_SUM = "memdub.crc32"


def write(path: Path, key: str, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Tensors, and what is told of them as JSON under `key` in the header."""
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file(plain, beside, {key: json.dumps(told, sort_keys=True), _SUM: _sum(plain)})
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `write` wrote; ValueError if it is not that, or not whole."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    if key not in metadata:
        raise ValueError(f"{path}: its header says nothing of {key}")
    if metadata.get(_SUM) != _sum(tensors):
        raise ValueError(f"{path}: its content was changed")
    return json.loads(metadata[key]), tensors


def read_header(path: Path, key: str) -> dict[str, Any]:
    """What is told of the tensors, without reading them."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    if key not in metadata:
        raise ValueError(f"{path}: its header says nothing of {key}")
    told: dict[str, Any] = json.loads(metadata[key])
    return told


def _sum(tensors: Mapping[str, Tensor]) -> str:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(_bytes(tensors[name]), total)
    return f"{total:08x}"


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
