"""A home where a made-up person has a clip with features, without the seconds that extraction takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flows.ingest import ingest
from models.morphable.builtin import builtin
from storage import clips
from storage.artifacts import Artifact, Made, produce
from storage.home import Home
from storage.recipes import Recipe
from tests.helpers.footage import film, keep_consent

__all__ = ["FRAMES", "SCOPE", "features_in", "material_home", "two_clips"]

FRAMES, SIZE, FOCAL = 150, (160, 120), 260.0
SCOPE = '["ingest", "train", "dub"]'


def material_home(
    root: Path, *, frames: int = FRAMES, rate: int = 25, identity: str = "anna", **changes: np.ndarray
) -> Home:
    """The home at `root`; `changes` replace arrays of the features, as fit__expression."""
    keep_consent(root, identity, SCOPE)
    video = film(root.parent / f"{identity}.mp4", seconds=frames / rate, size=SIZE, rate=rate)
    clip = ingest([video], identity, home=str(root)).clips[0]
    home = Home(root)
    features_in(home, clip, frames, rate, {name.replace("__", "/"): v for name, v in changes.items()})
    return home


def features_in(
    home: Home,
    clip: Artifact,
    frames: int,
    rate: int,
    changes: Mapping[str, np.ndarray],
    model: str = "builtin",
) -> Artifact:
    """Features of a clip, as the chain would have them."""

    def note(workspace: Path) -> Made:
        (workspace / "note").write_text("a fit")
        return Made()

    parameters = {"model": model, "sha256": None}
    fit = produce(home, Recipe("fit", "fit", 1, parameters, {"clip": clip.id}), note, identity=clip.identity)

    def make(workspace: Path) -> Made:
        _write(workspace / "features.zarr", clip, frames, rate, changes)
        return Made()

    inputs = {"clip": clip.id, "fit": fit.id}
    return produce(home, Recipe("features", "features", 1, {}, inputs), make, identity=clip.identity)


def _write(path: Path, clip: Artifact, frames: int, rate: int, changes: Mapping[str, np.ndarray]) -> None:
    arrays = {**_arrays(frames, rate), **changes}
    speech, mel = len(arrays["audio/deepspeech"]), len(arrays["audio/mel"])
    specs = clips.standard(arrays, frames=frames, fps=rate, speech_frames=speech, mel_frames=mel)
    told = {"identity": "anna", "clip": clip.id, "fps": float(rate), "sound_offset_frames": 0.0}
    group = clips.create(path, specs, told)
    for name, values in arrays.items():
        for region in group.regions(name):
            kind = group.array(name).dtype
            group.write(name, region.start, values[region.start : region.stop].astype(kind))
    group.finish()


def _arrays(frames: int, rate: int) -> dict[str, np.ndarray]:
    """A head before the camera whose jaw follows the first symbol of what is heard."""
    rng, t = np.random.default_rng(1), np.arange(frames) / rate
    rows = int(np.ceil(frames / rate * 50))
    heard = rng.normal(size=(rows, 29)).cumsum(0) * 0.3
    heard -= np.log(np.exp(heard).sum(1, keepdims=True))
    expression = np.zeros((frames, 64))
    at = np.minimum((np.arange(frames) * 50 // rate), rows - 1)
    expression[:, builtin().names.index("jaw_open")] = np.tanh(heard[at, 0] + 3)
    return {
        "audio/deepspeech": heard,
        "audio/mel": rng.normal(size=(1 + int(frames / rate * 80), 80)),
        "audio/loudness": rng.uniform(-60, -10, rows),
        "audio/voice": rng.uniform(0, 1, rows),
        "track/confidence": rng.uniform(0.8, 1, frames),
        "track/sharpness": rng.uniform(0.5, 0.6, frames),
        "track/shot": np.zeros(frames),
        "fit/identity": np.tile(rng.normal(size=80) * 0.3, (frames, 1)),
        "fit/texture": np.tile(rng.normal(size=80) * 0.3, (frames, 1)),
        "fit/expression": expression,
        "fit/light": rng.normal(size=(frames, 27)) * 0.05,
        "fit/rotation": np.stack([0.1 * np.sin(t), 0.2 * np.cos(t), 0.05 * np.sin(t)], 1),
        "fit/translation": np.stack([4 * np.sin(t), 2 * np.cos(t), 600 + 10 * np.sin(t)], 1),
        "fit/camera": np.tile([FOCAL, SIZE[0] / 2, SIZE[1] / 2], (frames, 1)),
        "fit/error": rng.uniform(0.01, 0.012, frames),
    }


def two_clips(folder: Path) -> Home:
    """Anna with a second clip as long, in other colours."""
    home = material_home(folder / "home")
    other = film(folder / "other.mp4", seconds=FRAMES / 25, size=(160, 120), seed=3)
    features_in(home, ingest([other], "anna", home=home.url).clips[0], FRAMES, 25, {})
    return home
