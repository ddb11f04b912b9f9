"""The explicit memory of an identity: which mouths of its clips are kept, and their pictures.

Called by `flows.remember`, and by whatever needs a memory first. Keys are canonical mouth vertices, so that a
turned head is no other mouth; values are whole canvases, of which methods cut what they want. Frames of all
clips compete; each clip's are read once, in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.canvas import places, sample
from models.memory.explicit import Selection, gates, select, smallest
from models.morphable import builtin
from storage import clips
from storage.artifacts import Artifact, Made, find, produce
from storage.clips import ArraySpec, ClipGroup
from storage.clips.specs import single_shard
from storage.errors import MediaError, RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.media import VideoReader
from storage.recipes import Recipe
from tasks.extract import video_of
from tasks.threads import one_thread

__all__ = [
    "RememberOptions",
    "Remembered",
    "Source",
    "features_of",
    "frames_of",
    "identity_of",
    "open_memory",
    "read_memory",
    "recipe_of",
    "remember",
]

F32 = NDArray[np.float32]
VERSION = 1
_FIT = ("identity", "expression", "rotation", "translation", "camera")


@dataclass(frozen=True)
class RememberOptions:
    """What a user may choose. `side`: pixels of a kept canvas. `share`: of each clip, from its beginning."""

    slots: int = 300
    side: int = 192
    seed: int = 0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 2 <= self.slots <= 10_000:
            what = "not a usable number of slots"
            raise RequestError(what, where=f"--slots {self.slots}", do="give 2 to 10000")


class Source(NamedTuple):
    """A clip with its features."""

    clip: Artifact
    features: Artifact


class Remembered(NamedTuple):
    """A memory as it is stored."""

    keys: F32  # (M, 40, 3) millimetres
    patches: NDArray[np.uint8]  # (M, S, S, 3)
    clip: NDArray[np.int32]  # (M,) which of `clips`
    frame: NDArray[np.int32]  # (M,)
    sharpness: F32
    confidence: F32
    clips: tuple[str, ...]
    told: Mapping[str, Any]


class Frames(NamedTuple):
    """What is known of a clip's frames before any picture is read; places on canvases of `side` pixels."""

    keys: F32  # (T, 40, 3)
    places: torch.Tensor  # (T, 2, 3)
    sharpness: F32
    confidence: F32
    error: F32
    rotation: F32


def features_of(home: Home, ledger: Ledger, identity: str) -> list[Source]:
    """The newest features of each clip of an identity, in the order of the clips."""
    rows = ledger.rows("artifacts").to_pylist()
    made = [row for row in rows if row["kind"] == "features" and row["identity"] == identity]
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(made, key=lambda row: row["started"]):
        newest[json.loads(row["recipe"])["inputs"]["clip"]] = row
    sources = []
    for clip, row in sorted(newest.items()):
        found = find(ledger, clip, identity), find(ledger, row["id"], identity)
        if found[0] is not None and found[1] is not None:
            sources.append(Source(found[0], found[1]))
    if not sources:
        do = f"`memdub extract {identity}` first"
        raise RequestError("nothing was extracted", where=identity, do=do)
    return sources


def recipe_of(sources: Sequence[Source], options: RememberOptions) -> Recipe:
    """What the memory is made of, and so what it is called."""
    inputs = {f"features {number}": one.features.id for number, one in enumerate(sources)}
    return Recipe("memory", "remember", VERSION, asdict(options), inputs)


def remember(
    home: Home, identity: str, sources: Sequence[Source], options: RememberOptions | None = None
) -> Artifact:
    """The memory of these clips: found, or made now."""
    options = options or RememberOptions()

    def make(workspace: Path) -> Made:
        figures = _write(home, identity, sources, options, workspace / "memory.zarr")
        return Made(
            metrics=[
                {"artifact": recipe.id, "identity": identity, "metric": name, "split": "all", "value": value}
                for name, value in figures.items()
            ]
        )

    recipe = recipe_of(sources, options)
    return produce(home, recipe, make, identity=identity)


def open_memory(home: Home, memory: Artifact) -> Remembered:
    """Read a memory whole."""
    return read_memory(clips.open_clip(home.uri(f"{memory.uri}/memory.zarr")))


def read_memory(group: ClipGroup) -> Remembered:
    """The same, of an open group."""
    names = ("keys", "patches", "clip", "frame", "sharpness", "confidence")
    arrays = {name: group.read(f"memory/{name}") for name in names}
    return Remembered(**arrays, clips=tuple(group.attrs["clips"]), told=dict(group.attrs))


def frames_of(group: ClipGroup, side: int, identity: F32 | None = None) -> Frames:
    """Keys and places of every frame of a clip; `identity` (80,) is whose neutral mouth keys start from."""
    fit = {name: group.read(f"fit/{name}").astype(np.float32) for name in _FIT}
    seen = (group.read("track/confidence") > 0) & np.isfinite(fit["expression"]).all(1)
    own = fit["identity"][seen].mean(0) if seen.any() else np.zeros(80, np.float32)
    keys = np.full((len(seen), len(builtin().mouth), 3), np.nan, np.float32)
    whose = own if identity is None else identity
    keys[seen] = builtin().mouth_vertices(whose, fit["expression"][seen])
    at = places(
        torch.from_numpy(own),
        torch.from_numpy(fit["rotation"]),
        torch.from_numpy(fit["translation"]),
        torch.from_numpy(fit["camera"]),
        torch.from_numpy(group.read("track/shot")),
        torch.from_numpy(seen),
        float(group.attrs["fps"]),
        side,
    )
    sharpness, confidence = (group.read(f"track/{name}") for name in ("sharpness", "confidence"))
    error = group.read("fit/error") if "fit/error" in group.names else np.zeros(len(seen), np.float32)
    return Frames(keys, at, sharpness, confidence, error, fit["rotation"])


def identity_of(groups: Sequence[ClipGroup]) -> F32:
    """One neutral face (80,) for all clips: the mean of what was fitted."""
    rows = [group.read("fit/identity") for group in groups]
    every = np.concatenate(rows)
    every = every[np.isfinite(every).all(1)]
    if not len(every):
        raise MediaError("no frame shows a face", where=groups[0].url, do="ingest other footage")
    return np.asarray(every.mean(0), np.float32)


@one_thread()
def _write(
    home: Home, identity: str, sources: Sequence[Source], options: RememberOptions, target: Path
) -> dict[str, float]:
    groups = [clips.open_clip(home.uri(f"{one.features.uri}/features.zarr")) for one in sources]
    _check_model(home, sources)
    whose = identity_of(groups)
    frames = [_cut(frames_of(group, options.side, whose), options.share) for group in groups]
    chosen, usable = _choose(frames, options, where=identity)
    of, row = _owners(frames, usable[chosen.rows])
    patches = _pictures(home, sources, frames, of, row, options.side)
    arrays = {
        "memory/keys": np.concatenate([f.keys for f in frames])[usable[chosen.rows]],
        "memory/patches": patches,
        "memory/clip": of.astype(np.int32),
        "memory/frame": row.astype(np.int32),
    }
    for name in ("sharpness", "confidence"):
        every = np.concatenate([getattr(f, name) for f in frames])
        arrays[f"memory/{name}"] = every[usable[chosen.rows]].astype(np.float32)
    told = {
        "identity": identity,
        "clips": [one.clip.id for one in sources],
        "side": options.side,
        "neutral": whose.tolist(),
        "distance_mm": chosen.distance,
        "swaps": len(chosen.history) - 1 if chosen.history else 0,
    }
    _store(target, arrays, told)
    return {
        "memory_slots": float(len(of)),
        "memory_frames": float(len(usable)),
        "memory_distance_mm": chosen.distance,
        "memory_distance_random_mm": _by_chance(frames, usable, len(of)),
    }


def _check_model(home: Home, sources: Sequence[Source]) -> None:
    """Keys and canvases are the built-in model's: coefficients of another mean other things."""
    ledger = Ledger(home.objects)
    for one in sources:
        fit = ledger.find(str(json.loads(one.features.row["recipe"])["inputs"].get("fit", "")))
        model = json.loads(fit["recipe"])["parameters"].get("model") if fit else "builtin"
        if model not in (None, "builtin"):
            do = "`memdub extract` it with --model builtin"
            raise RequestError(f"fitted with the model {model}", where=one.clip.id, do=do)


def _cut(frames: Frames, share: float) -> Frames:
    """The first part of a clip: the rest is kept for judging."""
    stop = round(len(frames.keys) * share)
    return Frames(**{name: values[:stop] for name, values in frames._asdict().items()})


def _choose(
    frames: Sequence[Frames], options: RememberOptions, where: str
) -> tuple[Selection, NDArray[np.int64]]:
    """The selection, and the rows of all frames that it was made from."""
    open_ = [gates(f.keys, f.sharpness, f.confidence, f.error, f.rotation, options.slots) for f in frames]
    usable = np.flatnonzero(np.concatenate(open_))
    if len(usable) < 2:
        raise MediaError("no frame shows a mouth well enough", where=where, do="ingest sharper footage")
    keys = np.concatenate([f.keys for f in frames])[usable].reshape(len(usable), -1)
    return select(keys, options.slots, options.seed), usable


def _by_chance(frames: Sequence[Frames], usable: NDArray[np.int64], count: int) -> float:
    keys = np.concatenate([f.keys for f in frames])[usable].reshape(len(usable), -1)
    draw = np.random.default_rng(1)
    return float(np.mean([smallest(keys[draw.choice(len(keys), count, replace=False)]) for _ in range(5)]))


def _owners(frames: Sequence[Frames], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clip and frame of rows that are counted through all clips."""
    starts = np.cumsum([0, *(len(f.keys) for f in frames)])
    of = np.searchsorted(starts, rows, side="right") - 1
    return of, rows - starts[of]


def _pictures(
    home: Home,
    sources: Sequence[Source],
    frames: Sequence[Frames],
    of: NDArray[np.int64],
    row: NDArray[np.int64],
    side: int,
) -> NDArray[np.uint8]:
    out = np.zeros((len(of), side, side, 3), np.uint8)
    with ExitStack() as open_videos:
        for number, source in enumerate(sources):
            mine = np.flatnonzero(of == number)
            if not len(mine):
                continue
            video = VideoReader(open_videos.enter_context(video_of(home, source.clip)))
            for slot, picture in _picked(video, mine, row):
                at = frames[number].places[row[slot]][None]
                out[slot] = sample(torch.from_numpy(picture)[None], at, side)[0].numpy()
    return out


def _picked(
    video: VideoReader, slots: NDArray[np.int64], row: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Slots with their frames' pictures, in the order of the film, which is read once."""
    waiting = sorted(slots.tolist(), key=lambda slot: int(row[slot]))
    first = int(row[waiting[0]])
    for number, picture in enumerate(video.read(first, int(row[waiting[-1]]) + 1), first):
        while waiting and int(row[waiting[0]]) == number:
            yield waiting.pop(0), picture


_ABOUT = {
    "memory/keys": (("slot", "vertex", "axis"), "mm", "canonical mouth vertices"),
    "memory/patches": (("slot", "y", "x", "channel"), "1", "the lower face on its canvas, RGB"),
    "memory/clip": (("slot",), "1", "which of the group's clips"),
    "memory/frame": (("slot",), "1", "frame of that clip"),
    "memory/sharpness": (("slot",), "1", "focus of the face's picture"),
    "memory/confidence": (("slot",), "1", "0 to 1"),
}


def _store(target: Path, arrays: Mapping[str, NDArray[Any]], attrs: Mapping[str, Any]) -> None:
    specs = []
    for name, (dims, units, about) in _ABOUT.items():
        values = arrays[name]
        layout = single_shard(values.shape, values.dtype.itemsize)
        finite = values.dtype.kind == "f"
        specs.append(ArraySpec(name, str(values.dtype), values.shape, dims, units, about, finite, *layout))
    draft = clips.create(target, specs, attrs)
    for name in _ABOUT:
        draft.write(name, 0, arrays[name])
    draft.finish()
