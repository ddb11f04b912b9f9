"""SyncTalkFace: what its memory holds, whether sound finds it, and what its parts are worth.

    python -m tests.bench.synctalkface use WEIGHTS BUNDLE             how many slots are used, held out
    python -m tests.bench.synctalkface slots WEIGHTS BUNDLE X.png     each slot's mouth on one face
    python -m tests.bench.synctalkface phonemes WEIGHTS HOME          slots against what puppets say
    python -m tests.bench.synctalkface overfit BUNDLE STEPS           eight short clips learned by heart
    python -m tests.bench.synctalkface variants BUNDLE STEPS          each part off in turn, trained alike

WEIGHTS are a checkpoint of the stage talker, or the name of bundled weights. Bundles are of that stage, as
`python -m tasks.general HOME --method synctalkface --stage talker` writes them; a HOME is of puppets, the
last fifth of whom are asked. Trainings begin with what their bundle brings, if it does. One thread.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from models.networks.blocks import pictures_out
from models.sync import load_expert, sync_loss
from models.synctalkface.config import FRAMES, TalkerConfig
from models.synctalkface.method import SyncTalkFace
from models.synctalkface.painter import addresses, mouths_by_slot
from models.synctalkface.talker import Talker
from models.synctalkface.training import TalkerTrainee
from models.training import HELD_OUT, TRAIN, Bundle, Segment, read_checkpoint
from models.training.devices import opened
from models.training.engine import train
from models.training.teachers import teacher_of
from storage import consent
from storage.artifacts import of_row
from storage.home import Home
from storage.ledger import Ledger
from storage.weights import Registry
from tasks._in_time import rows_in_time
from tasks.material import open_materials
from tasks.puppet import truth_of
from tasks.remember import features_of
from tasks.training import read_weights

VARIANTS: dict[str, dict[str, Any]] = {
    "both": {},
    "audio-visual alone": {"visual_visual": False},
    "visual-visual alone": {"audio_visual": False},
    "neither": {"audio_visual": False, "visual_visual": False},
    "no memory": {"memory": False},
    "lips as recalled": {"lip_path": "recalled"},
}
WHOLE: dict[str, Any] = {"singly": False, "synced_from": 0.2, "told_from": 1.0}  # experts judge windows
WINDOWS = 3
CLIPS, SHORT = 8, 40
SHUFFLES = 200
CLOSE = 1.10
ACROSS = 12  # slots in a row of the picture
Tensors = Mapping[str, Tensor]


def config_of(bundle: Bundle) -> TalkerConfig:
    return SyncTalkFace().config_from(bundle.about.config).talker


def weights_of(name: str) -> tuple[TalkerConfig, Tensors]:
    """A checkpoint's, or bundled ones of the preset cpu."""
    if Path(name).is_file():
        told, tensors = read_checkpoint(name)
        return SyncTalkFace().config_from(told["config"]).talker, tensors
    found = read_weights(Registry().find(name).path)
    tensors = {key: torch.from_numpy(np.asarray(value)).float() for key, value in found.items()}
    return SyncTalkFace().config("cpu").talker, tensors


def speaking(name: str) -> Talker:
    config, tensors = weights_of(name)
    talker = Talker(config)
    talker.load(tensors)
    for network in talker.networks.values():
        network.eval()
    return talker


# What the memory holds --------------------------------------------------------------------------------


def use(name: str, bundle: Bundle) -> None:
    """How sound spreads over the slots on held-out frames."""
    talker = speaking(name)
    rows = bundle.rows(HELD_OUT)
    heard = bundle.tensor("around" if talker.config.hearing == "ear" else "mels", rows).float()
    found = addresses(talker, heard)
    mean, count = found.mean(0), found.shape[1]
    entropy = float(-(mean * mean.clamp(min=1e-12).log()).sum() / np.log(count))
    print(f"{len(rows)} held-out frames, {count} slots")
    print(f"used by more than 1/(5 S): {talker.memory.used(found):.2f} (healthy above .5)")
    print(f"entropy of the mean address over log S: {entropy:.2f}")
    print(f"largest share of one slot, mean over frames: {float(found.amax(1).mean()):.2f}")
    print(f"slots that hold half of a frame's address: {_half(found):.1f}")


def _half(found: Tensor) -> float:
    ordered = found.sort(1, descending=True).values.cumsum(1)
    return float((ordered < 0.5).sum(1).float().mean() + 1)


def slots(name: str, bundle: Bundle, target: Path) -> None:
    """Every slot alone, on the first person that was held out, hearing what is heard on average."""
    config, tensors = weights_of(name)
    trainee = TalkerTrainee(replace(config, audio_visual=False, critic=""), bundle, dict(tensors))
    for network in trainee.networks.values():
        network.eval()
    start, stop = trainee.windows.runs[HELD_OUT][0]
    at = np.linspace(start, stop - FRAMES, 40).astype(int)
    edges = np.tile((start, stop), (len(at), 1))
    with torch.no_grad():
        batch = trainee.windows.read(at, edges, trainee.windows.held_out_references(at), False)
        scene = trainee._scene(batch)
        mouths = mouths_by_slot(trainee.talker, scene.inputs[:1], scene.heard.mean(0, keepdim=True))
    share = trainee.talker.addresses(scene.heard).mean(0)
    shown = pictures_out(mouths).numpy()[share.argsort(descending=True).numpy()]
    rows = [np.concatenate(list(shown[k : k + ACROSS]), 1) for k in range(0, len(shown), ACROSS)]
    wide = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, wide - row.shape[1]), (0, 0))) for row in rows]
    Image.fromarray(np.concatenate(rows)).save(target)
    away = torch.cdist(mouths.flatten(1), mouths.flatten(1)) / mouths[0].numel() ** 0.5
    print(f"{len(mouths)} slots, most used first: {target}")
    print(f"mean distance of two slots' mouths: {float(away.mean()):.4f} of a range of 2")


# Slots and phonemes -----------------------------------------------------------------------------------


def phonemes(name: str, home: Home) -> None:
    """Mutual information of a frame's slot and what is said there, in bits, against chance."""
    talker, ledger = speaking(name), Ledger(home.objects)
    extracted = {row["identity"] for row in ledger.rows("artifacts").to_pylist() if row["kind"] == "features"}
    people = [who for who in consent.identities(home) if who in extracted]
    people = people[-max(1, len(people) // 5) :]
    told = [_said(talker, home, ledger, who) for who in people]
    slot, said = (np.concatenate([one[k] for one in told]) for k in (0, 1))
    _, number = np.unique(said, return_inverse=True)
    real = information(slot, number)
    draw = np.random.default_rng(0)
    chance = [information(slot, np.concatenate(_turned(told, draw))) for _ in range(SHUFFLES)]
    within = entropy_of(np.bincount(number))
    print(f"{len(people)} puppets, {len(slot)} frames, {number.max() + 1} phonemes of {within:.2f} bits")
    print(f"slot of the largest address and phoneme: {real:.3f} bits, {real / within:.2f} of what there is")
    print(f"chance, what is said moved in time: {np.mean(chance):.3f} bits, at most {max(chance):.3f}")
    print(f"more than chance: {'yes' if real > max(chance) else 'no'}")


def _said(talker: Talker, home: Home, ledger: Ledger, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Slots and phonemes (n,) of the frames with a face of a puppet's clip."""
    one = open_materials(home, [features_of(home, ledger, who)[0].features])[0]
    made = [row for row in ledger.rows("artifacts").to_pylist() if row["identity"] == who]
    puppet = next(of_row(row) for row in made if row["kind"] == "puppet")
    truth = pq.read_table(truth_of(home, puppet), columns=["phoneme"])["phoneme"].to_pylist()
    heard = "around" if talker.config.hearing == "ear" else "mels"
    rows = np.flatnonzero(one.seen[: len(truth)])
    told = torch.from_numpy(rows_in_time(one, {heard})[heard][rows].astype(np.float32))
    return addresses(talker, told).argmax(1).numpy(), np.array(truth)[rows]


def _turned(told: list[tuple[np.ndarray, np.ndarray]], draw: np.random.Generator) -> list[np.ndarray]:
    """Everybody's phonemes, moved around in time: as long and as often, but not where they were said."""
    names = {name: k for k, name in enumerate(np.unique(np.concatenate([said for _, said in told])))}
    moved = [np.roll(said, int(draw.integers(12, max(len(said) - 12, 13)))) for _, said in told]
    return [np.array([names[one] for one in said]) for said in moved]


def entropy_of(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def information(a: np.ndarray, b: np.ndarray) -> float:
    """Mutual information of two labels (n,), bits."""
    both = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(both, (a, b), 1)
    return entropy_of(both.sum(0)) + entropy_of(both.sum(1)) - entropy_of(both.ravel())


# What is learned --------------------------------------------------------------------------------------


class Lasting(TalkerTrainee):
    """What it learned to the last counts, better or not than what it began with: variants are compared."""

    def judge(self) -> dict[str, float]:
        return {name: value for name, value in super().judge().items() if name != "loss"}


def trained(
    bundle: Bundle, config: TalkerConfig, steps: int, **plan: Any
) -> tuple[TalkerTrainee, dict[str, float]]:
    """A trainee at its last step, and how it was judged."""
    averaged = min(200.0, steps / 10)
    settled: dict[str, Any] = {"steps": steps, "evaluate_every": steps, "averaged_steps": averaged, **plan}
    bundle.about = replace(bundle.about, plan=settled)
    trainee = Lasting(config, bundle, bundle.start())
    with tempfile.TemporaryDirectory() as passing, opened("cpu") as place:
        done = train(trainee, Path(passing), "bench", place=place)
    for name, network in trainee.networks.items():
        own = {
            k.removeprefix(f"{name}/"): v for k, v in done.best.tensors.items() if k.startswith(f"{name}/")
        }
        network.load_state_dict(own)
        network.eval()
    return trainee, done.best.judged


def overfit(bundle: Bundle, steps: int) -> None:
    """Whether addressing by sound has caught up with lips themselves, where all can be learned by heart."""
    short = [one for one in bundle.about.segments if one.split == TRAIN and one.stop - one.start >= SHORT]
    kept = [one._replace(stop=one.start + SHORT) for one in short[:CLIPS]]
    again: list[Segment] = [one._replace(split=HELD_OUT) for one in kept]
    bundle.about = replace(bundle.about, segments=(*kept, *again))
    config = replace(config_of(bundle), noise=0.0, shifted=0.0, light=0.0, mirrored=0.0, critic="")
    trainee, judged = trained(bundle, replace(config, audio_visual="expert" in _taught(bundle)), steps)
    print(f"{len(kept)} clips of {SHORT} frames, {trainee.plan.steps} steps")
    print(f"key path {judged['pixels']:.4f}, lip path {judged['lip_pixels']:.4f} of a range of 1")
    share = judged["pixels"] / judged["lip_pixels"]
    print(f"{share:.3f}; within {CLOSE:.2f}: {'yes' if share < CLOSE else 'no'}")


def _taught(bundle: Bundle) -> set[str]:
    return {name.split("/")[2] for name in bundle.arrays if name.startswith("teacher/sync/")}


def variants(bundle: Bundle, steps: int) -> None:
    """Held-out people: distance of what is hidden, likeness of the mouth, and what the expert says."""
    print(f"{'':<22}{'pixels':>9}{'ssim':>8}{'out of step':>13}{'wrong sound':>13}{'slots':>8}")
    for name, change in VARIANTS.items():
        config = replace(config_of(bundle), **WHOLE, **change)
        trainee, judged = trained(bundle, config, steps, batch=WINDOWS)
        near, far = (_in_step(trainee, bundle, shift) for shift in (0, 50))
        used = judged.get("slots", float("nan"))
        figures = f"{judged['pixels']:>9.4f}{judged['mouth_ssim']:>8.3f}{near:>13.3f}{far:>13.3f}{used:>8.2f}"
        print(f"{name:<22}{figures}", flush=True)


def _in_step(trainee: TalkerTrainee, bundle: Bundle, shift: int) -> float:
    """What the expert says of held-out windows and their sound, or sound so many frames later."""
    expert, told = load_expert(teacher_of(bundle, "sync")), []
    for start, stop in trainee.windows.runs[HELD_OUT]:
        at = np.arange(start, stop - FRAMES - shift, 25)
        if not len(at):
            continue
        edges = np.tile((start, stop), (len(at), 1))
        batch = trainee.windows.read(at, edges, trainee.windows.held_out_references(at), False)
        sound = trainee.windows.sound(at + shift, edges)
        with torch.no_grad():
            scene = trainee._scene(batch)
            made = trainee.talker.draw(trainee.talker.told(scene.heard), scene.inputs).float()
            windows = made.reshape(len(at), FRAMES, *made.shape[1:])
            told.append(float(sync_loss(expert, windows, trainee.config.framing, sound)))
    return float(np.mean(told))


def main() -> None:
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["use", name, bundle]:
            use(name, Bundle(bundle))
        case ["slots", name, bundle, target]:
            slots(name, Bundle(bundle), Path(target))
        case ["phonemes", name, home]:
            phonemes(name, Home(home))
        case ["overfit", bundle, steps]:
            overfit(Bundle(bundle), int(steps))
        case ["variants", bundle, steps]:
            variants(Bundle(bundle), int(steps))
        case _:
            print(__doc__)
            raise SystemExit(2)


if __name__ == "__main__":
    main()
