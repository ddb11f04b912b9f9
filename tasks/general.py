"""General weights: one stage of a method, trained on many people, for people that it never sees.

    python -m tasks.general HOME --method dinet --stage frame64 -o BUNDLE      of everybody in the home
    python -m models.train BUNDLE -o DIR
    python -m tasks.general --ship DIR/checkpoint.safetensors --as dinet       into the package's weights

Whole people are held out, the last of them. Everybody in the home must have agreed to training; a troupe of
puppets (`python -m flows.troupe`) has. Expression weights and FACIAL's performer are made otherwise: see
`tasks.rehearsals` and `tasks.manners`.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from models.methods import Method, Stage, find_method
from models.training import HELD_OUT, TRAIN, About, Segment, read_checkpoint
from models.training.bundle import start_arrays
from models.training.teachers import as_arrays
from storage import consent
from storage.errors import MemdubError, RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import hash_file
from storage.weights import Registry
from tasks._canvases import canvas_segments, write_general_canvases
from tasks._stills import write_general_stills
from tasks.ears import Ear, heard_alike, hears
from tasks.material import Cut, Material, open_materials, require_material
from tasks.remember import features_of
from tasks.threads import one_thread
from tasks.training import read_weights, wants_memory

__all__ = ["Course", "ship", "write_general"]

_WEIGHTS = Path(__file__).parents[1] / "models" / "weights"


@dataclass(frozen=True)
class Course:
    """What is trained in general, and on how much of everybody."""

    method: str
    stage: str
    preset: str = "cpu"
    seconds: float | None = None  # of each person
    held_out: float = 0.1  # share of the people
    seed: int = 0
    start: Path | None = None  # a checkpoint of an earlier stage; else nothing is known
    known: bool = False  # start from the bundled weights
    plan: Mapping[str, Any] = field(default_factory=dict)  # numbers of the method's plan to replace


@one_thread()
def write_general(home: Home, course: Course, target: Path, people: Sequence[str] = ()) -> Path:
    """The bundle of a course, from these people of a home, or from all with features."""
    method, stage, config = _looked_up(course)
    named = list(people) or consent.identities(home)
    gathered = {who: _materials(home, who, stage) for who in sorted(named)}
    some = [materials for materials in gathered.values() if materials]
    segments = _parted(some, course)
    require_material(segments)
    brought, raws = _brought(home, stage, course)
    recipe = {"parameters": {"method_version": method.version, "weights": raws}}
    inputs = {f"features {k}": one.features.id for k, one in enumerate(itertools.chain(*some))}
    told = json.loads(json.dumps(config.as_dict()))
    names = (course.method, stage.name, course.preset)
    about = About(*names, told, course.seed, course.plan, inputs=inputs, recipe=recipe)
    writes = write_general_stills if "render" in stage.arrays else write_general_canvases
    writes(target, home, stage, about, some, segments, brought, _bar)
    return target


def _looked_up(course: Course) -> tuple[Method, Stage, Any]:
    try:
        method = find_method(course.method)
        config = method.config(course.preset)
    except ValueError as error:
        raise RequestError(str(error), where=f"--method {course.method}", do="choose another") from error
    pictured = [one for one in method.stages(config) if "target" in one.arrays and not wants_memory(one)]
    stages = {one.name: one for one in pictured}
    if course.stage not in stages:
        do = f"use one of {', '.join(stages) or 'none'}"
        raise RequestError("no stage of pictures", where=f"--stage {course.stage}", do=do)
    return method, stages[course.stage], config


def _materials(home: Home, identity: str, stage: Stage) -> list[Material]:
    consent.require(home, identity, "train")
    ledger = Ledger(home.objects)
    try:
        sources = features_of(home, ledger, identity)
    except RequestError:  # somebody of whom nothing was extracted is nobody yet
        return []
    if hears(stage):  # weights that do not say whom they hear are taken to hear the usual ear
        sources = heard_alike(ledger, identity, sources, Ear())
    return open_materials(home, [one.features for one in sources])


def _parted(people: Sequence[Sequence[Material]], course: Course) -> list[Segment]:
    """Runs of everybody, one after the other; the last people are held out whole."""
    first = len(people) - max(1, round(course.held_out * len(people)))
    segments: list[Segment] = []
    for number, materials in enumerate(people):
        at = segments[-1].stop if segments else 0
        for one in canvas_segments(materials, Cut(0.0, course.seconds)):
            split = TRAIN if number < first else HELD_OUT
            segments.append(one._replace(start=at + one.start, stop=at + one.stop, split=split))
    return segments


def _brought(home: Home, stage: Stage, course: Course) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Weights to start from and to learn from, and what they are."""
    registry = Registry(home.url)
    arrays: dict[str, NDArray[Any]] = {}
    raws: dict[str, str] = {}
    if course.start is not None:
        tensors = read_checkpoint(course.start)[1]
        arrays |= start_arrays({name: np.asarray(value) for name, value in tensors.items()})
        raws["start"] = hash_file(course.start)
    elif course.known and stage.general:
        found = registry.find(stage.general)
        arrays, raws = start_arrays(read_weights(found.path)), {"start": found.sha256}
    for name in stage.teachers:
        found = registry.find(name)
        arrays |= as_arrays(name, read_weights(found.path))
        raws[f"teacher {name}"] = found.sha256
    return arrays, raws


def ship(checkpoint: Path, name: str, about: str | None = None, folder: Path = _WEIGHTS) -> Path:
    """A checkpoint as weights that are bundled: what only training needs is left out, matrices in 16 bits."""
    told, tensors = read_checkpoint(checkpoint)
    left: Sequence[str] = getattr(find_method(told["method"]), "training_only", ())
    kept = {
        key: (value.half() if value.is_floating_point() and value.dim() > 1 else value).contiguous()
        for key, value in tensors.items()
        if key.partition("/")[0] not in left
    }
    target = folder / f"{name}.safetensors"
    header = {"network": f"{told['method']} {told['stage']}", "config": json.dumps(told.get("config", {}))}
    save_file(kept, target, header)
    load_file(target)
    target.chmod(0o644)
    _list(folder / "weights.json", name, target, about)
    return target


def _list(listing: Path, name: str, file: Path, about: str | None) -> None:
    """The line by which the registry finds them."""
    lines: dict[str, Any] = json.loads(listing.read_text()) if listing.exists() else {}
    before: Mapping[str, Any] = lines.get(name, {})
    lines[name] = {
        "file": file.name,
        "format": "safetensors",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "size": file.stat().st_size,
        "licence": "Apache-2.0",
        "about": about or before.get("about", name),
        "card": f"{name}.md",
    }
    listing.write_text(json.dumps(lines, indent=2) + "\n")


def _bar(done: int, rows: int) -> None:
    if done == rows or done % 256 < 16:
        print(f"\r{done} of {rows} frames", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("home", nargs="?")
    parser.add_argument("--method")
    parser.add_argument("--stage")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--seconds", type=float, help="of each person")
    parser.add_argument("--held-out", type=float, default=Course.held_out, help="share of the people")
    parser.add_argument("--people", default="", help="names, with commas between them; else everybody")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--known", action="store_true", help="start from the bundled weights")
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--ship", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--as", dest="name")
    parser.add_argument("--about")
    asked = parser.parse_args()
    try:
        return _run(parser, asked)
    except (MemdubError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> int:
    if asked.ship is not None:
        if asked.name is None:
            parser.error("--ship needs --as NAME")
        print(ship(asked.ship, asked.name, asked.about))
        return 0
    if None in (asked.home, asked.method, asked.stage, asked.output):
        parser.error("give HOME, --method, --stage and -o BUNDLE")
    course = Course(asked.method, asked.stage, asked.preset, asked.seconds, asked.held_out)
    plan = {} if asked.steps is None else {"steps": asked.steps}
    course = replace(course, start=asked.start, known=asked.known, plan=plan)
    people = [name for name in asked.people.split(",") if name]
    print(f"\n{write_general(Home(asked.home), course, asked.output, people)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
