"""Recipes: what an artifact is made of, and therefore what it is called.

The same recipe is the same artifact, today or next month, on this machine or another. Called by
`tasks`, which write recipes, and by `storage.artifacts`, which carries them out once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

__all__ = ["RawSource", "Recipe", "hash_file"]


@dataclass(frozen=True)
class RawSource:
    """A file from outside, known by its content; its name is remembered but does not count."""

    role: str
    sha256: str
    name: str = field(compare=False)


@dataclass(frozen=True)
class Recipe:
    """The kind of artifact, the stage and its version, parameters, inputs by role, raw sources."""

    kind: str
    stage: str
    stage_version: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    raw: tuple[RawSource, ...] = ()

    def as_json(self) -> str:
        """The canonical text: one recipe, one spelling."""
        content = {
            "kind": self.kind,
            "stage": self.stage,
            "stage_version": self.stage_version,
            "parameters": dict(self.parameters),
            "inputs": dict(self.inputs),
            "raw": sorted([source.role, source.sha256] for source in self.raw),
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @cached_property
    def id(self) -> str:
        return f"{self.kind}-{hashlib.sha256(self.as_json().encode()).hexdigest()[:20]}"


def hash_file(path: Any) -> str:
    """The SHA-256 of a file, read in pieces."""
    with open(path, "rb") as file:  # noqa: PTH123  (also takes paths that are not pathlib's)
        return hashlib.file_digest(file, "sha256").hexdigest()
