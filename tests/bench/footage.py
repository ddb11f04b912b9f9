"""Where benchmarks find real footage; it is no part of the project."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["real_footage"]


def real_footage() -> Path | None:
    """The folder with video/ and audio/, or None."""
    folder = Path(os.environ.get("MEMDUB_FOOTAGE", Path(__file__).parents[3] / "shared" / "data"))
    return folder if (folder / "video").is_dir() else None
