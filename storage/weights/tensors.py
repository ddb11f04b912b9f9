"""Safetensors files as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from storage.errors import WeightsError
from storage.weights.sniff import check_format

__all__ = ["Tensors", "open_safetensors"]


@dataclass(frozen=True)
class Tensors:
    """A file's arrays by name, and the text that its writer put beside them."""

    metadata: Mapping[str, str]
    arrays: Mapping[str, NDArray[Any]]


def open_safetensors(path: str | Path) -> Tensors:
    """Read a safetensors file whole; anything else, or a harmed one, is a WeightsError."""
    check_format(path, ("safetensors",))
    try:
        with safe_open(str(path), framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Tensors(dict(file.metadata() or {}), arrays)
    except SafetensorError as error:
        raise WeightsError(
            f"harmed or cut off: {error}", where=path, do="get the file again and check its size"
        ) from error
    except (TypeError, AttributeError) as error:
        raise WeightsError(
            f"holds a type that numpy lacks: {error}", where=path, do="save it as float16 or float32"
        ) from error
