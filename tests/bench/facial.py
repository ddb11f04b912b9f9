"""FACIAL's performer: is somebody performed as they are, and what are its parts worth?

    python -m tests.bench.facial style FOLDER [--weights FILE] [--senator HOME]
    python -m tests.bench.facial ablations FOLDER STEPS

`style` makes three people of truly different manners (`tasks.manners`; rehearsed, not rendered), trains the
performer on two minutes of each, and performs two minutes of speech of theirs that were held out: blinks a
minute, how long they last, deviation of every axis of the pose and of its speed, each against the person's
own two minutes of training; correlation of the lips' opening with what was held out; the quickest turn where
windows meet. With `--senator` the identity `senator` of that home is the fourth: its last fifth is held out
for the lips, and its manner is performed to that and to the puppets' held-out speech, since a fifth of a
minute has too few blinks to count.

`ablations` trains general weights for so many steps with one part off in turn, from FOLDER/general.bundle
(which `python -m tasks.manners FOLDER` writes), and judges them on people held out. One thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.facial.columns import EXPRESSION, NAMES, POSE, Statistics
from models.facial.config_performer import RATE, PerformerConfig, TermWeights
from models.facial.manner import Measured, measured, settled
from models.facial.network_performer import Generator
from models.facial.performing import load_performer, perform_symbols
from models.facial.training_performer import PerformerTrainee
from models.memface.losses_expression import opening_of
from models.methods import Stage
from models.morphable.builtin import builtin
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, write_bundle
from models.training.devices import Place
from models.training.engine import fingerprint_of, train
from storage.home import Home
from storage.ledger import Ledger
from storage.weights import Registry
from tasks.audio import find_backend
from tasks.bundles import write_stage_bundle
from tasks.manners import Performed, acted, actor
from tasks.material import Cut, open_materials
from tasks.rehearsals import Plan
from tasks.remember import features_of

PEOPLE = (0, 1, 2)  # seeds that no general training knows
TAKES, LEARNED = 6, 3  # of 40 s each; the first are learned from
WITHIN = 0.3
MOST_JUMP = 1.5  # degrees a row, where windows meet
STAGE = Stage("performer", True, ("symbols30", "performed", "trust"), "facial_performer")


class Person(NamedTuple):
    """Somebody to be performed."""

    name: str
    bundle: Path
    least: float  # correlation of the lips' opening that is asked for


# People -----------------------------------------------------------------------------------------------


def puppet(number: int, folder: Path) -> Path:
    """The bundle of a made-up person: takes of two minutes to learn from, two held out."""
    target = folder / f"person-{number}.bundle"
    if target.is_file():
        return target
    draw = np.random.default_rng([number, 0xBE7C])
    who, plan, backend = actor(number, draw), Plan(), find_backend("embedded")
    takes: list[Performed] = []
    while len(takes) < TAKES:
        take = acted(who, plan, len(takes), draw, backend)
        if take is None:
            raise SystemExit(f"{who.voice.name} says nothing")
        takes.append(take)
    return _own_bundle(takes, target)


def _own_bundle(takes: Sequence[Performed], target: Path) -> Path:
    """As a person's own clips would give it: one clip, whose last takes are held out."""
    ends = np.cumsum([0, *(len(take.performed) for take in takes)]).tolist()
    segments = [
        Segment(f"take {k}", ends[k], ends[k + 1], RATE, TRAIN if k < LEARNED else HELD_OUT)
        for k in range(len(takes))
    ]
    performed = np.concatenate([take.performed for take in takes])
    own = Statistics.of(torch.from_numpy(performed[: ends[LEARNED]]))
    arrays = {
        "symbols30": np.concatenate([take.symbols for take in takes]),
        "performed": performed,
        "trust": np.ones(len(performed), np.float32),
        "clip": np.zeros(len(performed), np.int32),
        "clip_mean": own.mean.numpy()[None],
        "clip_std": own.std.numpy()[None],
    }
    return write_bundle(target, About("facial", "performer", "cpu", {}, 0, {}, segments), arrays)


def filmed(home: Home, identity: str, target: Path) -> Path:
    """The bundle of somebody who was filmed."""
    features = [one.features for one in features_of(home, Ledger(home.objects), identity)]
    about = About("facial", "performer", "cpu", {})
    return write_stage_bundle(target, home, STAGE, about, open_materials(home, features), Cut())


# Training and performing ------------------------------------------------------------------------------


def trained(
    config: PerformerConfig, bundle: Path, start: Mapping[str, Tensor] | None, **plan: Any
) -> tuple[Generator, dict[str, float], PerformerTrainee]:
    """The best network of a training, and how it was judged."""
    trainee = PerformerTrainee(config, Bundle(bundle), start)
    trainee.plan = trainee.plan.changed(plan)
    place, print_of = Place(torch.device("cpu")), fingerprint_of("bench", trainee.plan, config.as_dict())
    with tempfile.TemporaryDirectory() as folder:
        done = train(trainee, Path(folder), print_of, place=place)
    return load_performer(config, done.best.tensors), done.best.judged, trainee


def steady(rows: Tensor) -> Tensor:
    """A person's rows without the tracker's tremor, as they are learned from."""
    out = rows.clone()
    out[:, POSE] = settled(out[:, POSE])
    return out


def jump(rows: Tensor, config: PerformerConfig) -> float:
    """Degrees a row of the quickest turn where windows meet."""
    hop, steps = config.window - config.joint, (rows[1:, :3] - rows[:-1, :3]).abs().amax(1)
    near = [steps[at - 1 : at + config.joint + 1] for at in range(hop, len(rows) - 1, hop)]
    return float(torch.cat(near).max()) if near else 0.0


def rows_of(bundle: Bundle, name: str, split: str) -> list[Tensor]:
    return [bundle.tensor(name, slice(start, stop)).float() for start, stop in bundle.segments(split)]


def told(person: Person, net: Generator, foreign: Sequence[Tensor]) -> Iterator[str]:
    """Lines of a table: generated, own, ratio."""
    bundle = Bundle(person.bundle)
    own = [steady(rows) for rows in rows_of(bundle, "performed", TRAIN)]
    truth = rows_of(bundle, "performed", HELD_OUT)
    made = [torch.cat(list(perform_symbols(net, rows))) for rows in rows_of(bundle, "symbols30", HELD_OUT)]
    more = made + [torch.cat(list(perform_symbols(net, rows))) for rows in foreign]
    yield f"\n## {person.name}\n\n| | performed | own | ratio | |\n|---|---|---|---|---|"
    for name, value, wanted in _compared(measured(more), measured(own)):
        ratio = value / wanted if wanted else float("nan")
        verdict = "yes" if abs(ratio - 1) <= WITHIN else "NO"
        yield f"| {name} | {value:.3g} | {wanted:.3g} | {ratio:.2f} | {verdict} |"
    gaps = torch.stack(
        [torch.cat([r[:, EXPRESSION] for r in x]) @ opening_of(builtin()) for x in (made, truth)]
    )
    opening = float(torch.corrcoef(gaps)[0, 1])
    verdict = "yes" if opening >= person.least else "NO"
    yield f"\nopening r = {opening:.3f}, {person.least} asked for: {verdict}"
    quickest = max(jump(rows, net.config) for rows in more)
    yield f"quickest turn at joints {quickest:.2f} degrees: {'yes' if quickest <= MOST_JUMP else 'NO'}"


def _compared(made: Measured, own: Measured) -> Iterator[tuple[str, float, float]]:
    yield "blinks a minute", made.blinks, own.blinks
    yield "blink, s", made.blink_s, own.blink_s
    for k, name in enumerate(NAMES[:6]):
        yield f"{name}, deviation", float(made.spread[k]), float(own.spread[k])
        yield f"{name}, of speed", float(made.speed[k]), float(own.speed[k])


def style(folder: Path, weights: Path | None, senator: Path | None, config: PerformerConfig) -> None:
    start = load_file(weights or Registry().find("facial_performer").path)
    start = {name: value.float() if value.is_floating_point() else value for name, value in start.items()}
    people = [Person(f"puppet {k}", puppet(k, folder), 0.8) for k in PEOPLE]
    foreign = [rows for one in people for rows in rows_of(Bundle(one.bundle), "symbols30", HELD_OUT)[:1]]
    if senator is not None:
        people.append(Person("senator", filmed(Home(senator), "senator", folder / "senator.bundle"), 0.5))
    for one in people:
        net, judged, _ = trained(config, one.bundle, start)
        print("\n".join(told(one, net, foreign if one.name == "senator" else ())))
        print(", ".join(f"{name} {value:.3g}" for name, value in judged.items()), flush=True)


# Parts --------------------------------------------------------------------------------------------------


def variants(config: PerformerConfig) -> dict[str, PerformerConfig]:
    still = {f"{name}_change": 0.0 for name in ("expression", "pose", "blink")}
    general: TermWeights = replace(config.general_terms, **still)
    return {
        "whole": config,
        "no context": replace(config, context=False),
        "no phonetic branch": replace(config, phonetic=False),
        "no terms of change": replace(config, general_terms=general),
        "no critic": replace(config, adversarial=False),
        "pose alone": replace(config, lone_pose=True),
    }


def ablations(folder: Path, steps: int, config: PerformerConfig) -> None:
    names = ("expression", "pose", "blink", "opening_correlation", "liveliness", "quickness")
    print("| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for name, one in variants(config).items():
        judged = trained(one, folder / "general.bundle", None, steps=steps, evaluate_every=steps)[1]
        print(f"| {name} | " + " | ".join(f"{judged[key]:.3f}" for key in names) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("style", "ablations"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", type=int, nargs="?", default=300)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--senator", type=Path, metavar="HOME")
    parser.add_argument("--preset", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    config = PerformerConfig.preset(asked.preset)
    if asked.what == "style":
        style(asked.folder, asked.weights, asked.senator, config)
    else:
        ablations(asked.folder, asked.steps, config)


if __name__ == "__main__":
    main()
