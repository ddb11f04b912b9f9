"""Training as units of work: a stage of a method for one identity, from features to a committed checkpoint.

    stages = planned_stages(home, options, Ingredients("anna", features, memory))
    checkpoint = train_stage(home, stages[0], ingredients)

The draft of a checkpoint holds its bundle and the state of its training: a run that was killed goes on.
Called by `flows.train`, `flows.imports` and by what needs a checkpoint first.
"""

from __future__ import annotations

import functools
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor

from models.losses.vgg import VARIABLE, vgg_digest
from models.methods import EXPERTS, METHODS, Method, Stage, find_method
from models.train import CHECKPOINT, train_bundle
from models.training import About, Bundle, read_checkpoint, read_told
from models.training.bundle import start_arrays
from models.training.devices import find_device, opened
from models.training.engine import Paused, Progress
from models.training.teachers import as_arrays
from storage import consent
from storage.artifacts import Artifact, Made, produce, workspace_of
from storage.errors import Broken, CorruptArtifact, RequestError
from storage.home import Home
from storage.recipes import RawSource, Recipe
from storage.weights import Registry
from tasks import cards
from tasks._curves import metric_rows, write_events
from tasks._processes import train_shared
from tasks.bundles import write_stage_bundle
from tasks.material import Cut, open_materials

__all__ = [
    "Halted",
    "Ingredients",
    "TrainOptions",
    "TrainedStage",
    "bundle_recipe",
    "check_device",
    "export_stage",
    "known_methods",
    "method_of",
    "open_checkpoint",
    "planned_stages",
    "read_weights",
    "recipe_from",
    "require_methods",
    "train_stage",
    "wants_memory",
]

PRESETS = ("smoke", "cpu", "gpu", "gpu-512")
# Risen when the same parameters make another checkpoint.
VERSION = 1
_BUNDLE, _STATE = "bundle.safetensors", "state"


@dataclass(frozen=True)
class TrainOptions:
    """What a user may choose. `plan` replaces single numbers of the method's plans."""

    method: str = "memface"
    preset: str = "cpu"
    cut: Cut = field(default_factory=Cut)
    seed: int = 0
    stage: str | None = None  # None: all
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ingredients:
    """What a person's training is made of."""

    identity: str
    features: Sequence[Artifact]
    memory: Artifact | None = None


@dataclass(frozen=True)
class TrainedStage:
    """A stage that can be trained: what it is, and the recipe of its checkpoint."""

    stage: Stage
    about: About
    recipe: Recipe
    cut: Cut
    general: Path | None
    teachers: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Halted:
    """A training that was told to pause: its state is kept, and the same request goes on."""

    stage: str
    step: int
    steps: int


def method_of(options: TrainOptions) -> tuple[Method, Any]:
    """The method, or expert, and its configuration; raises RequestError where there is none."""
    if options.method not in METHODS | EXPERTS:
        do = f"use one of {', '.join(sorted(METHODS))}"
        raise RequestError("no such method", where=f"--method {options.method}", do=do)
    try:
        method = find_method(options.method)
    except ImportError as error:
        do = "choose another method"
        raise RequestError(
            f"not in this version ({error})", where=f"--method {options.method}", do=do
        ) from error
    try:
        return method, method.config(options.preset)
    except ValueError as error:
        raise RequestError(str(error), where=f"--preset {options.preset}", do="choose another") from error


def known_methods() -> list[str]:
    """All that can dub, by name."""
    return sorted(METHODS)


def require_methods(names: Sequence[str], option: str = "--method") -> None:
    """RequestError unless there are some, and all of them can dub."""
    do = f"use one of {', '.join(sorted(METHODS))}"
    if not names:
        raise RequestError("no method", where=option, do=do)
    for name in names:
        if name not in METHODS:
            raise RequestError("no such method", where=f"{option} {name}", do=do)


def check_device(name: str, processes: int = 1) -> None:
    """RequestError where there is no such device, or not one for each process: before a training is begun."""
    try:
        find_device(name)
    except ValueError as error:
        raise RequestError(str(error), where=f"--device {name}", do="use auto") from error
    if cards.needed(name, processes) > cards.count():
        what = f"each takes a graphics card, and torch sees {cards.count()}"
        raise RequestError(what, where=f"--processes {processes}", do="use fewer")


def open_checkpoint(home: Home, checkpoint: Artifact) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a committed checkpoint tells, and its tensors by NETWORK/PARAMETER."""
    try:
        if home.is_local:
            return read_checkpoint(home.path(checkpoint.uri) / CHECKPOINT)
        with workspace_of(home, f"{checkpoint.id}-copy") as folder:
            fs, source = fsspec.core.url_to_fs(home.uri(f"{checkpoint.uri}/{CHECKPOINT}"))
            fs.get_file(source, str(folder / CHECKPOINT))
            return read_checkpoint(folder / CHECKPOINT)
    except (ValueError, OSError) as error:
        do = "train it again"
        raise CorruptArtifact(f"cannot be read ({error})", where=checkpoint.id, do=do) from error


def wants_memory(stage: Stage) -> bool:
    """Whether the stage is trained with an explicit memory."""
    return "slot_keys" in stage.arrays


def planned_stages(home: Home, options: TrainOptions, of: Ingredients) -> list[TrainedStage]:
    """The personal stages that are asked for, in order, with their recipes."""
    method, config = method_of(options)
    stages = [one for one in method.stages(config) if one.personal]
    if options.stage is not None:
        chosen = [one for one in stages if one.name == options.stage]
        if not chosen:
            names = ", ".join(one.name for one in stages) or "none"
            raise RequestError("no such stage", where=f"--stage {options.stage}", do=f"there are {names}")
        stages = chosen
    return [_planned(home, method, config, one, options, of) for one in stages]


def _planned(
    home: Home, method: Method, config: Any, stage: Stage, options: TrainOptions, of: Ingredients
) -> TrainedStage:
    registry = Registry(home.url)
    general = registry.find(stage.general) if stage.general else None
    teachers = {name: registry.find(name) for name in stage.teachers}
    inputs = {f"features {number}": one.id for number, one in enumerate(of.features)}
    if wants_memory(stage) and of.memory is not None:
        inputs["memory"] = of.memory.id
    parameters = {
        "method": method.name,
        "method_version": method.version,
        "stage": stage.name,
        "preset": options.preset,
        "config": json.loads(json.dumps(config.as_dict())),
        "plan": dict(options.plan),
        "seed": options.seed,
        "held_out": options.cut.held_out,
        "seconds": options.cut.seconds,
        **_perception(method, stage),
    }
    raw = tuple(
        RawSource(role, found.sha256, found.path.name)
        for role, found in (("general weights", general), *((f"teacher {n}", t) for n, t in teachers.items()))
        if found is not None
    )
    recipe = Recipe("checkpoint", "train", VERSION, parameters, inputs, raw)
    about = About(
        method.name,
        stage.name,
        options.preset,
        parameters["config"],
        options.seed,
        dict(options.plan),
        inputs=inputs,
        recipe=bundle_recipe(recipe),
    )
    paths = {name: found.path for name, found in teachers.items()}
    return TrainedStage(stage, about, recipe, options.cut, general.path if general else None, paths)


def _perception(method: Method, stage: Stage) -> dict[str, Any]:
    """The user's own VGG, for stages that look through it; recipes without one are as they were."""
    if stage.name not in getattr(method, "perceives", ()):
        return {}
    try:
        digest = vgg_digest()
    except ValueError as error:
        raise RequestError(str(error), where=VARIABLE, do="correct or unset it") from error
    return {} if digest is None else {"perception": {"vgg16": digest}}


def bundle_recipe(recipe: Recipe) -> dict[str, Any]:
    """A recipe as headers carry it."""
    told: dict[str, Any] = json.loads(recipe.as_json())
    return {**told, "id": recipe.id, "raw_names": {source.sha256: source.name for source in recipe.raw}}


def recipe_from(told: Mapping[str, Any]) -> Recipe:
    """The recipe that a header carries; ValueError if it is none, or not the one it says."""
    try:
        names = told.get("raw_names", {})
        raw = tuple(RawSource(role, sha256, names.get(sha256, "")) for role, sha256 in told["raw"])
        recipe = Recipe(
            told["kind"], told["stage"], told["stage_version"], told["parameters"], told["inputs"], raw
        )
        named = told["id"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("its header holds no recipe") from error
    if recipe.id != named:
        raise ValueError(f"its header's recipe is {recipe.id}, and not {named} as it says")
    return recipe


def train_stage(
    home: Home,
    one: TrainedStage,
    of: Ingredients,
    *,
    device: str = "auto",
    limit_seconds: float | None = None,
    processes: int = 1,
    progress: Callable[[Progress], None] = lambda progress: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Artifact | Halted:
    """The stage's checkpoint: found, or trained now. Halted when the limit came first."""
    allowed = functools.partial(consent.require, home, of.identity, "train")
    check_device(device, processes)
    how = _How(device, limit_seconds, processes, progress, tell, allowed)

    def make(workspace: Path) -> Made:
        waited = 0.0
        if not (workspace / CHECKPOINT).exists():
            bundle = _bundle(workspace, home, one, of, tell)
            waited = _train(bundle, workspace, how)
        told = read_told(workspace / CHECKPOINT)
        write_events(workspace, told)
        # The state is of use to nobody now, and the bundle is full of pictures of a person.
        shutil.rmtree(workspace / _STATE, ignore_errors=True)
        (workspace / _BUNDLE).unlink(missing_ok=True)
        return Made(metrics=metric_rows(one.recipe.id, of.identity, told), waited=waited)

    waiting = functools.partial(_tell_waiting, tell)
    told: dict[str, Any] = {"waiting": waiting, "allowed": allowed}
    try:
        return produce(home, one.recipe, make, identity=of.identity, resumable=True, **told)
    except Paused as pause:
        return Halted(one.stage.name, pause.step, pause.steps)


def export_stage(
    home: Home,
    one: TrainedStage,
    of: Ingredients,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The stage's bundle, for a machine that has nothing else."""
    consent.require(home, of.identity, "train")
    materials = open_materials(home, of.features)
    brought = {} if one.general is None else start_arrays(read_weights(one.general))
    for name, file in one.teachers.items():
        brought |= as_arrays(name, read_weights(file))
    return write_stage_bundle(
        path,
        home,
        one.stage,
        one.about,
        materials,
        one.cut,
        memory=of.memory,
        brought=brought,
        progress=progress,
    )


def _bundle(
    workspace: Path,
    home: Home,
    one: TrainedStage,
    of: Ingredients,
    tell: Callable[[str], None],
) -> Bundle:
    path = workspace / _BUNDLE
    if path.exists():
        try:
            return Bundle(path)
        except ValueError as error:
            tell(f"damaged bundle: {error}; made anew")
    tell(f"gathering what {one.stage.name} is trained on")
    return Bundle(export_stage(home, one, of, path))


def read_weights(file: Path) -> dict[str, NDArray[Any]]:
    """Bundled weights by NETWORK/PARAMETER. They travel in 16 bits; sums do not."""
    found: dict[str, NDArray[Any]] = load_file(file)
    return {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in found.items()
    }


@dataclass(frozen=True)
class _How:
    """What changes nothing of the result."""

    device: str
    limit_seconds: float | None
    processes: int
    progress: Callable[[Progress], None]
    tell: Callable[[str], None]
    allowed: Callable[[], object]


def _train(bundle: Bundle, workspace: Path, how: _How) -> float:
    """Trains to the end; returns the seconds that it waited for a card."""
    state, begun = workspace / _STATE, time.monotonic()
    limit = how.limit_seconds
    try:
        with cards.held(how.device, how.processes, how.tell) as device:
            waited = time.monotonic() - begun
            how.allowed()  # a card may have been taken for hours
            if how.processes > 1:
                train_shared(bundle.path, state, how.processes, device, limit, how.tell)
            else:
                with opened(device) as place:
                    train_bundle(bundle, state, place, limit, how.progress, how.tell)
    except ValueError as error:
        # Not a RequestError: that would throw away the state, and hours with it.
        raise Broken(str(error)) from error
    (state / CHECKPOINT).replace(workspace / CHECKPOINT)
    return waited


def _tell_waiting(tell: Callable[[str], None], holder: str) -> None:
    tell(f"waiting for {holder}, which trains the same")
