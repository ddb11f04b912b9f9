"""What extraction makes of a clip, and what each part is made of: the recipes of one clip's stages.

Known before anything is computed, so that a clip whose features are there is told in one look. Called by
`tasks.extract` and `flows.extract`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

import models
from storage.artifacts import Artifact
from storage.errors import RequestError
from storage.home import Home
from storage.recipes import Recipe, hash_file
from storage.weights import Found, Registry

if TYPE_CHECKING:
    from tasks.audio import AudioBackend

__all__ = [
    "FACES",
    "MODELS",
    "SPEECH",
    "TRACKERS",
    "Chain",
    "ExtractOptions",
    "Ingredients",
    "said_of",
    "url_of",
]

SPEECH = ("embedded", "deepspeech")
TRACKERS = ("mesh", "task")
FACES = ("auto", "largest", "left", "right")
MODELS = ("builtin", "ict", "bfm")
# Risen when a stage's result changes.
VERSIONS = {"faces": 1, "track": 1, "audio": 1, "fit": 1, "features": 1}
# What stages know from files of our own: other files make other results.
_KNOWN = {
    "track": ("track/calibration.safetensors",),
    "fit": ("morphable/builtin.safetensors", "fit/builtin.safetensors"),
    "features": ("offset/table.py",),
}
_FACE_NUMBER = re.compile(r"[0-9]{1,2}")
_FURTHEST_OFFSET = 100.0


@dataclass(frozen=True)
class ExtractOptions:
    """What a user may choose."""

    speech: str = "embedded"
    tracker: str = "mesh"
    face: str = "auto"
    model: str = "builtin"
    # Frames by which the sound is late; None: as measured.
    offset: float | None = None

    def __post_init__(self) -> None:
        _one_of(self.speech, SPEECH, "--speech")
        _one_of(self.tracker, TRACKERS, "--tracker")
        if not _FACE_NUMBER.fullmatch(self.face):
            _one_of(self.face, FACES, "--face", "a number from 0")
        name, colon, path = self.model.partition(":")
        _one_of(name, MODELS, "--model")
        if (name == "builtin") == bool(colon and path):
            do = "use builtin, ict:PATH or bfm:PATH"
            raise RequestError("not a morphable model", where=f"--model {self.model}", do=do)
        if self.offset is not None and not abs(self.offset) <= _FURTHEST_OFFSET:
            raise RequestError("not a usable offset", where=f"--offset {self.offset}", do="give some frames")


def _one_of(value: str, choices: tuple[str, ...], option: str, more: str = "") -> None:
    if value not in choices:
        told = ", ".join((*choices, more) if more else choices)
        raise RequestError("no such choice", where=f"{option} {value}", do=f"use one of {told}")


@dataclass(frozen=True)
class Ingredients:
    """The options with the files they stand for, found and hashed."""

    options: ExtractOptions
    speech: AudioBackend
    listener: AudioBackend
    tracker: Found | None
    model: Path | None
    model_sha256: str | None

    @classmethod
    def gather(cls, home: Home, options: ExtractOptions) -> Ingredients:
        """Raises a RequestError when a file that the options need is not there."""
        from tasks.audio import find_backend

        listener = find_backend("embedded", home.url)
        speech = listener if options.speech == "embedded" else find_backend(options.speech, home.url)
        tracker = Registry(home.url).find("face_landmarker") if options.tracker == "task" else None
        named = options.model.partition(":")[2]
        if not named:
            return cls(options, speech, listener, tracker, None, None)
        path = Path(named).expanduser()
        if not path.is_file():
            raise RequestError("no such file", where=f"--model {options.model}", do="name a model's file")
        return cls(options, speech, listener, tracker, path.absolute(), hash_file(path))

    def check(self) -> None:
        """Raises a RequestError when the morphable model's file is none: its stage comes late."""
        if self.model is not None:
            from tasks.morphable import morphable_model

            morphable_model(self.options.model.partition(":")[0], self.model)


@dataclass(frozen=True)
class Chain:
    """The recipes of one clip."""

    faces: Recipe
    track: Recipe
    audio: Recipe
    fit: Recipe
    features: Recipe

    @classmethod
    def of(cls, clip: str, from_: Ingredients) -> Chain:
        """Of the clip with this id."""
        options = from_.options
        tracker = {"tracker": options.tracker, "mediapipe": _version("mediapipe")}
        if from_.tracker is not None:
            tracker["sha256"] = from_.tracker.sha256
        faces = _recipe("faces", tracker, clip=clip)
        track = _recipe("track", {"face": options.face}, clip=clip, faces=faces.id)
        speech = {"speech": options.speech, "sha256": from_.speech.version}
        audio = _recipe("audio", speech, clip=clip)
        model = {"model": options.model.partition(":")[0], "sha256": from_.model_sha256}
        fit = _recipe("fit", model, clip=clip, track=track.id)
        joined = {"clip": clip, "track": track.id, "audio": audio.id, "fit": fit.id}
        # Lips are read from sound by the network of our own, whichever the features are made with.
        asked = {"offset": options.offset, "lips": from_.listener.version}
        features = _recipe("features", asked, **joined)
        return cls(faces, track, audio, fit, features)

    def __iter__(self) -> Any:
        return iter((self.faces, self.track, self.audio, self.fit, self.features))


def _recipe(kind: str, parameters: dict[str, Any], **inputs: str) -> Recipe:
    return Recipe(kind, kind, VERSIONS[kind], parameters | _known(kind), inputs)


# It reads a file: once for a hundred thousand clips.
_version = functools.cache(version)


@functools.cache
def _known(kind: str) -> dict[str, str]:
    root = Path(models.__path__[0])
    return {f"models/{name}": hash_file(root / name) for name in _KNOWN.get(kind, ())}


def url_of(home: Home, artifact: Artifact) -> str:
    """Where an artifact of any of these kinds has its Zarr group."""
    return home.near(f"{artifact.uri}/{artifact.kind}.zarr")


def said_of(home: Home, artifact: Artifact) -> Mapping[str, Any]:
    """What the group says of itself; quicker than opening it."""
    with fsspec.open(f"{url_of(home, artifact)}/zarr.json", "rb") as file:
        said: Mapping[str, Any] = json.load(file)["attributes"]
    return said
