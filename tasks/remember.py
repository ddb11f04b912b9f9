"""The explicit memory of an identity: which mouths of its clips are kept, and their pictures.

Called by `flows.remember`, and by whatever needs a memory first. Keys are canonical mouth vertices, so that a
turned head is no other mouth; values are whole canvases, and where the face's mesh lies on each, so that
methods can lay one mouth over another. Frames of all clips compete; each clip's are read once, in order.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage import clips, consent
from storage.artifacts import Artifact, Made, find, produce
from storage.clips import ArraySpec, ClipGroup
from storage.clips.specs import single_shard
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import Recipe
from tasks._mouths import by_chance, choose, first_share, frames_of, identity_of, lain, owners, pictures
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
VERSION = 2


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
    points: F32  # (M, V, 2) the mesh on each canvas, in shares of its side
    turn: F32  # (M, 3) rotation of the head, radians
    clip: NDArray[np.int32]  # (M,) which of `clips`
    frame: NDArray[np.int32]  # (M,)
    sharpness: F32
    confidence: F32
    clips: tuple[str, ...]
    told: Mapping[str, Any]


def features_of(home: Home, ledger: Ledger, identity: str) -> list[Source]:
    """The newest features of each clip of an identity that is not retired, in the order of the clips."""
    rows = ledger.rows("artifacts").to_pylist()
    retired = ledger.retired(identity)
    made = [row for row in rows if row["kind"] == "features" and row["identity"] == identity]
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(made, key=lambda row: row["started"]):
        newest[json.loads(row["recipe"])["inputs"]["clip"]] = row
    sources = []
    for clip, row in sorted((clip, row) for clip, row in newest.items() if clip not in retired):
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
    allowed = functools.partial(consent.require, home, identity, "train")
    return produce(home, recipe, make, identity=identity, allowed=allowed)


def open_memory(home: Home, memory: Artifact) -> Remembered:
    """Read a memory whole."""
    return read_memory(clips.open_clip(home.uri(f"{memory.uri}/memory.zarr")))


def read_memory(group: ClipGroup) -> Remembered:
    """The same, of an open group."""
    names = ("keys", "patches", "points", "turn", "clip", "frame", "sharpness", "confidence")
    arrays = {name: group.read(f"memory/{name}") for name in names}
    return Remembered(**arrays, clips=tuple(group.attrs["clips"]), told=dict(group.attrs))


@one_thread()
def _write(
    home: Home, identity: str, sources: Sequence[Source], options: RememberOptions, target: Path
) -> dict[str, float]:
    groups = [clips.open_clip(home.uri(f"{one.features.uri}/features.zarr")) for one in sources]
    _check_model(home, sources)
    whose = identity_of(groups)
    frames = [first_share(frames_of(group, options.side, whose), options.share) for group in groups]
    chosen, usable = choose(frames, options.slots, options.seed, where=identity)
    of, row = owners(frames, usable[chosen.rows])
    patches = pictures([video_of(home, one.clip) for one in sources], frames, of, row, options.side)
    arrays = {
        "memory/keys": np.concatenate([f.keys for f in frames])[usable[chosen.rows]],
        "memory/patches": patches,
        "memory/points": lain(frames, of, row, whose, options.side),
        "memory/turn": np.stack([frames[a].rotation[b] for a, b in zip(of, row, strict=True)]),
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
        "memory_distance_random_mm": by_chance(frames, usable, len(of)),
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


_ABOUT = {
    "memory/keys": (("slot", "vertex", "axis"), "mm", "canonical mouth vertices"),
    "memory/patches": (("slot", "y", "x", "channel"), "1", "the lower face on its canvas, RGB"),
    "memory/points": (("slot", "point", "plane"), "1", "the face's mesh on the canvas, shares of its side"),
    "memory/turn": (("slot", "axis"), "radian", "rotation of the head"),
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
