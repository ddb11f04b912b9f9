"""Which weights there are: the third-party ones in this table, the bundled ones in a list beside their files.

A checksum is written here only after it was computed from the official file. An entry without one is never
downloaded: the user gives the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from storage.errors import WeightsError

__all__ = ["SUFFIXES", "TABLE", "Format", "Source", "Weights", "bundled"]

Format = Literal["safetensors", "tflite", "task", "pth-official"]
Source = Literal["bundled", "user", "download"]

SUFFIXES: Mapping[str, str] = {
    "safetensors": ".safetensors",
    "tflite": ".tflite",
    "task": ".task",
    "pth-official": ".pth",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Weights:
    """One set of weights. `source` is the furthest that a search goes without the user's own file."""

    name: str
    format: Format
    source: Source
    licence: str
    about: str
    sha256: str | None = None
    size: int | None = None
    url: str | None = None
    card: str | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise WeightsError("a name is small letters, digits, '-' and '_'", where=self.name)
        if self.format not in SUFFIXES:
            raise WeightsError(f"format {self.format!r} is none of {', '.join(SUFFIXES)}", where=self.name)
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise WeightsError("the pinned checksum is not a SHA-256", where=self.name)

    @property
    def variable(self) -> str:
        """The environment variable by which a user gives these weights."""
        return f"MEMDUB_WEIGHTS_{self.name.upper().replace('-', '_')}"

    @property
    def filename(self) -> str:
        return self.name + SUFFIXES[self.format]


TABLE: tuple[Weights, ...] = (
    Weights(
        name="deepspeech",
        format="tflite",
        source="user",
        licence="MPL-2.0",
        about="Mozilla DeepSpeech 0.9.3, acoustic model; any model of its shape will do",
        # Not downloaded for anyone: the official file was not at hand to compute its checksum.
        url="https://github.com/mozilla/DeepSpeech/releases/download/v0.9.3/deepspeech-0.9.3-models.tflite",
    ),
    Weights(
        name="face_landmarker",
        format="task",
        source="download",
        licence="Apache-2.0",
        about="MediaPipe face landmarker: 478 points and 52 blendshapes",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        size=3758596,
        url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
        "face_landmarker.task",
    ),
)


def bundled(package: str = "models", folder: str = "weights") -> tuple[Weights, ...]:
    """The weights that lie in a package, by its `weights/weights.json`; none where there is no such list.

    The list is `{name: {"file", "format", "sha256", "size", "licence", "about", "card"}}`: who trains a
    network adds a line beside the file, and nothing here has to know of it.
    """
    try:
        root = Path(str(resources.files(package))) / folder
    except ModuleNotFoundError:
        return ()
    listing = root / "weights.json"
    if not listing.is_file():
        return ()
    return tuple(_bundled_one(listing, name, line) for name, line in json.loads(listing.read_text()).items())


def _bundled_one(listing: Path, name: str, line: dict[str, str]) -> Weights:
    try:
        return Weights(
            name=name,
            format=line["format"],  # type: ignore[arg-type]
            source="bundled",
            licence=line["licence"],
            about=line["about"],
            sha256=line["sha256"],
            size=int(line["size"]),
            card=line.get("card"),
            path=listing.parent / line["file"],
        )
    except KeyError as missing:
        raise WeightsError(f"{name!r} lacks {missing}", where=listing) from None
