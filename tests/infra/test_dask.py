"""Every setting of infra/dask.yaml is one that Dask knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dask.config
import distributed  # noqa: F401  (fills in its part of the configuration)
import yaml

INFRA = Path(__file__).parents[2] / "infra"


def keys(tree: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from keys(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_dask_knows_every_setting() -> None:
    ours = yaml.safe_load((INFRA / "dask.yaml").read_text())
    for key in keys(ours):
        assert dask.config.get(key, "unknown") != "unknown", key
