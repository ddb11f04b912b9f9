"""MemFace's first stage: what bundled weights and a person's own make of speech that nobody trained on.

    python -m tests.bench.expression                 general against adapted, ridge, wrong sound, slots
                                     puppets, senator, obama, slots: only these
    python -m tests.bench.expression memory FOLDER   with memory against without, on takes that lie in FOLDER

Puppets 1 and 4 are filmed and extracted (kept in the temporary folder); real clips lie in MEMDUB_FOOTAGE.
Correlations are of the model's lip opening with the tracked lip gap on the test part alone. Strengths, and
when to stop, are chosen inside the training part, whose last tenth is held out for that.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor

from models.memface.config_expression import ExpressionConfig
from models.memface.expression import (
    NETWORK,
    ExpressionTrainee,
    listen,
    load_expression,
    new_expression,
)
from models.memface.network_expression import ExpressionNet
from models.morphable.builtin import builtin
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, write_bundle
from models.training.devices import Place
from models.training.engine import fingerprint_of, train
from storage.weights import Registry, open_safetensors
from tasks import rehearsals
from tests.bench.expression_people import FPS, Person, correlation, opening, puppet, real, unmoving

HERE = Place(torch.device("cpu"))
WRONG = 2 * FPS
REACH = 6
HELD = 0.1  # share of a person's training part
PEOPLES_LEAD = 2  # half rows: people's lips part 40 ms earlier than puppets' do
RIDGES = 10.0 ** np.arange(1, 6.01, 0.5)
Tensors = Mapping[str, Tensor]


class Score(NamedTuple):
    opening: float
    quick: float  # the same, each less its mean over two seconds
    millimetres: float  # of the mouth's vertices
    wrong: float  # opening, driven by sound that is two seconds off


def bundled() -> tuple[ExpressionConfig, dict[str, Tensor]]:
    content = open_safetensors(Registry().find("memface_expression").path)
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in content.arrays.items()}
    return ExpressionConfig(), {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


def score(person: Person, net: ExpressionNet) -> Score:
    told, wrong = (
        torch.cat(list(listen(net, person.sound(shift))))[: len(person)].numpy() for shift in (0, WRONG)
    )
    rows = slice(person.edge, len(person))
    gap, own = opening(person, told), person.gap
    model, fitted = builtin(), person.expression
    off = [model.mouth_vertices(person.identity, x[rows]) for x in (told, _mouth_of(net, fitted))]
    return Score(
        correlation(gap[rows], own[rows]),
        correlation(unmoving(gap)[rows], unmoving(own)[rows]),
        float(np.sqrt(((off[0] - off[1]) ** 2).sum(-1)).mean()),
        correlation(opening(person, wrong)[rows], own[rows]),
    )


def _mouth_of(net: ExpressionNet, expression: np.ndarray) -> np.ndarray:
    return np.asarray(expression * net.chosen.numpy(), np.float32)


def general(person: Person, config: ExpressionConfig, start: Tensors) -> ExpressionNet:
    """General weights with the mean and, within bounds, the deviations of a person's own expressions."""
    net = load_expression(config, start)
    rows = torch.from_numpy(person.expression[: person.edge])
    # Puppets are what general weights know: only people's lips part earlier.
    net.lead.fill_(0 if person.name.startswith("puppet") else PEOPLES_LEAD)
    net.mean.copy_(rows.mean(0))
    net.scale.mul_((rows.std(0) / net.scale.clamp(min=1e-6)).clamp(0.5, 2.0))
    return net


def bundle_of(person: Person, seconds: float, config: ExpressionConfig, path: Path) -> Bundle:
    """The last so many seconds before the test; a tenth of them is held out."""
    stop = person.edge
    start = max(0, stop - round(seconds * FPS))
    cut = start + round((1 - HELD) * (stop - start))
    segments = [Segment("clip", start, cut, FPS, TRAIN), Segment("clip", cut, stop, FPS, HELD_OUT)]
    arrays = {
        "speech": person.speech,
        "mel": person.mel,
        "expression": person.expression,
        "trust": np.ones(len(person), np.float32),
        "identity": person.identity,
    }
    return Bundle(write_bundle(path, About("memface", "expression", "cpu", {}, 0, {}, segments), arrays))


def adapted(
    person: Person, seconds: float, config: ExpressionConfig, start: Tensors
) -> tuple[ExpressionNet, ExpressionNet, str]:
    """After statistics alone, and after training; and how it went."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        bundle = bundle_of(person, seconds, config, Path(name) / "b.safetensors")
        trainee = ExpressionTrainee(config, bundle, start)
        first = load_expression(
            config, {f"{NETWORK}/{k}": v.clone() for k, v in trainee.net.state_dict().items()}
        )
        print_ = fingerprint_of(bundle.fingerprint, trainee.plan, config.as_dict())
        best = train(trainee, Path(name) / "w", print_, place=HERE).best
    spent = time.perf_counter() - begun
    how = f"lead {int(first.lead)}, step {best.step} of {trainee.plan.steps}, {spent:.0f} s"
    return first, load_expression(config, best.tensors), how


def alone(net: ExpressionNet) -> ExpressionNet:
    """The same without its moments: what statistics are worth."""
    without = copy.deepcopy(net)
    without.moments.values.zero_()
    return without


def ridge(person: Person) -> Score:
    """The tracked gap from log-mel of half a second; its strength is the best of contiguous folds."""
    frames = person.mel.mean(1).astype(np.float64)
    rows, tested = np.arange(person.edge), np.arange(person.edge, len(person))
    x = (frames - frames[rows].mean(0)) / (frames[rows].std(0) + 1e-6)
    padded = np.pad(x, ((REACH, REACH), (0, 0)), mode="edge")
    x = np.concatenate([padded[i : i + len(x)] for i in range(2 * REACH + 1)], 1)
    y = person.gap

    def told(fitted: np.ndarray, asked: np.ndarray, alpha: float, shift: int = 0) -> np.ndarray:
        mean, usual = x[fitted].mean(0), y[fitted].mean()
        own = x[fitted] - mean
        weights = own.T @ np.linalg.solve(own @ own.T + alpha * np.eye(len(own)), y[fitted] - usual)
        return np.asarray((np.roll(x, shift, 0)[asked] - mean) @ weights + usual)

    def inside(alpha: float) -> float:
        parts = np.array_split(rows, 5)
        return float(np.mean([correlation(told(np.setdiff1d(rows, p), p, alpha), y[p]) for p in parts]))

    best = max(RIDGES, key=inside)
    whole = np.concatenate([np.arange(person.edge), tested])
    found, wrong = (told(rows, whole, best, shift) for shift in (0, WRONG))
    return Score(
        correlation(found[tested], y[tested]),
        correlation(unmoving(found)[tested], unmoving(y)[tested]),
        float("nan"),
        correlation(wrong[tested], y[tested]),
    )


def line(name: str, found: Score, more: str = "") -> None:
    numbers = " | ".join(f"{x:.3f}" for x in found[:2])
    print(f"| {name} | {numbers} | {found.millimetres:.2f} | {found.wrong:+.2f} | {more} |", flush=True)


def report(
    person: Person, seconds: Sequence[float], config: ExpressionConfig, start: Tensors
) -> dict[str, Score]:
    tested = (len(person) - person.edge) / FPS
    print(f"\n## {person.name}: tested on {tested:.0f} s (sound moved by {person.moved:.1f} frames)\n")
    print("| | opening | less 2 s means | mouth, mm | wrong sound | |\n|---|---|---|---|---|---|")
    scores = {"ridge": ridge(person), "general": score(person, general(person, config, start))}
    line("ridge, log-mel", scores["ridge"])
    line("general weights, own mean", scores["general"])
    for length in seconds:
        first, last, how = adapted(person, length, config, start)
        line(f"{length:.0f} s, own lead, mean and gains", score(person, alone(first)))
        line(f"{length:.0f} s, with moments", score(person, first))
        scores["own"] = score(person, last)
        line(f"{length:.0f} s, trained", scores["own"], how)
    return scores


def slots(config: ExpressionConfig, start: Tensors, person: Person) -> bool:
    """How evenly the slots are used, and how alike they are, before training and after."""
    print("\n## Slots\n\n| | entropy / log M | mean cosine, keys + values |\n|---|---|---|")
    used = 0.0
    for name, net in (("untrained", new_expression(config)), ("trained", load_expression(config, start))):
        net.eval()
        assert net.memory is not None
        rows = torch.from_numpy(person.speech[:1000])[None]
        with torch.no_grad():
            query = net.queries(rows, torch.ones(1, 1000), torch.zeros(1, dtype=torch.int64))
            used = float(net.memory.entropy(query))
            print(f"| {name} | {used:.3f} | {float(net.memory.likeness()):+.5f} |")
    return used > 0.5


def memory(folder: Path, steps: int = 600) -> None:
    """Two general trainings that differ in the memory alone."""
    files = sorted(folder.glob("*.npz"))
    print(f"\n## With memory against without, {len(files)} takes, {steps} steps each\n")
    print(
        "| | parameters | loss | coefficients | mouth vertices | opening | correlation |\n" + "|---" * 7 + "|"
    )
    base = ExpressionConfig(steps=steps)
    for name, config in (("with", base), ("without", base.without_memory())):
        with tempfile.TemporaryDirectory() as place:
            path = rehearsals.write_general(
                list(rehearsals.takes(files)), Path(place) / "b", config.as_dict()
            )
            trainee = ExpressionTrainee(config, Bundle(path))
            count = sum(p.numel() for p in trainee.net.parameters())
            told = train(trainee, Path(place) / "w", "", place=HERE).best.judged
        names = ("loss", "expression", "vertices", "opening", "opening_correlation")
        print(f"| {name} | {count} | " + " | ".join(f"{told[n]:.4f}" for n in names) + " |", flush=True)


def _lengths(usual: Sequence[float]) -> Sequence[float]:
    """All of them, or with MEMDUB_BENCH_QUICK set the longest alone."""
    return usual[-1:] if os.environ.get("MEMDUB_BENCH_QUICK") else usual


def main() -> int:
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["memory"]:
        memory(Path(sys.argv[2]), *(int(x) for x in sys.argv[3:4]))
        return 0
    wanted = sys.argv[1:] or ["puppets", "senator", "obama", "slots"]
    config, start = bundled()
    done: list[tuple[str, bool]] = []
    if "puppets" in wanted:
        found = {
            f"puppet {n}": report(puppet(n), _lengths((15, 30, 60)), config, start)["own"] for n in (1, 4)
        }
        done += [(f"{name} >= .85", one.opening >= 0.85) for name, one in found.items()]
    if "senator" in wanted and (senator := real("senator_60s_256.mp4", 48)) is not None:
        told = report(senator, _lengths((15, 30, 48)), config, start)
        own = told["own"]
        done.append(("senator >= .5", own.opening >= 0.5))
        done.append(("senator, ridge + .05", own.opening >= told["ridge"].opening + 0.05))
        done.append(("senator, wrong sound < .2", own.wrong < 0.2))
    if "obama" in wanted and (late := real("obama_weekly_20s.mp4", 16)) is not None:
        report(late, (16,), config, start)
    if "slots" in wanted:
        done.append(("slots, entropy > .5", slots(config, start, puppet(1))))
    print("\n" + "\n".join(f"{name}: {'yes' if met else 'NO'}" for name, met in done))
    return 0 if all(met for _, met in done) else 1


if __name__ == "__main__":
    raise SystemExit(main())
