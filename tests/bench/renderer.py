"""The renderer on speech that it never saw: memory on, off and shuffled, against the nearest mouth itself.

    python -m tests.bench.renderer senator            60 s of a real person: 48 s to train on, 12 s to judge
    python -m tests.bench.renderer puppet             the same of a puppet
    --sound drives all by what the sound says; --home HOME has one identity, extracted; --keep FOLDER goes on
    with what was trained there; --preset P, --steps N, --threads N, --sheet X.png

Every row of the table draws the held-out frames onto themselves, driven by the expression that was fitted to
them, by the same code that dubs; whole frames are then looked at by the face mesh, truth and drawing alike.
PSNR and SSIM are of the mouth's box on the canvas; `lips` is the mean distance of 40 lip landmarks over the
distance of the eyes' corners, in percent; `opening` the correlation of the lips' gap; `shake` the mean second
difference over time in the mouth's box, as a share of the truth's; `sharp` the same of a Laplacian.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor

from models.canvas import mouth_box, sample
from models.losses import psnr, ssim
from models.memface.config_renderer import RendererConfig, renderer_config
from models.memface.expression import listen, load_expression
from models.memface.painter import Painter
from models.memface.training_renderer import RENDERER_ARRAYS, RendererTrainee
from models.methods import Drawn, Memory, Motion, Person, Stage, View, find_method
from models.nearest.method import NearestConfig, NearestSpeaker
from models.networks.blocks import pictures_in
from models.training import About, Bundle
from models.training.bundle import start_arrays
from models.training.devices import opened
from models.training.engine import train
from storage.home import Home
from storage.ledger import Ledger
from storage.media import VideoReader
from storage.weights import Registry
from tasks.bundles import write_stage_bundle
from tasks.extract import video_of
from tasks.material import Cut, Material, open_materials
from tasks.remember import RememberOptions, features_of, open_memory, remember
from tasks.training import read_weights
from tests.bench.renderer_people import Lips, prepared, template_of, view_of, wanted_by
from tests.helpers.pasted import paste

HELD_OUT = 0.2
BLOCK = 16


@dataclass(frozen=True)
class Judge:
    """The held-out frames, and what the mesh sees on them."""

    one: Material
    frames: np.ndarray
    pictures: Tensor  # (B, H, W, 3)
    lips: Lips
    true: np.ndarray  # (B, 40, 2)
    wanted: Tensor  # (T, 64) what all of them are to show

    def line(self, name: str, speaker: Any, side: int) -> tuple[str, Tensor]:
        """A row of the table, and the canvases that were drawn."""
        template = template_of(self.one)
        speaker.meet(template)
        made, places, spent = [], [], [0.0, 0.0]
        for start in range(0, len(self.frames), BLOCK):
            rows = self.frames[start : start + BLOCK]
            view = view_of(self.one, template, rows, self.pictures[start : start + BLOCK], self.wanted)
            drawn, pasted = self._drawn(speaker.draw, view, spent)
            made.append(pasted)
            places.append(drawn.places)
        whole, at = torch.cat(made), torch.cat(places)
        canvases, truth = sample(whole, at, side), sample(self.pictures, at, side)
        rows_, columns = mouth_box(side)
        a, b = (pictures_in(x)[..., rows_, columns] for x in (canvases, truth))
        seen = self.lips(whole)
        apart = np.linalg.norm(seen - self.true, axis=-1).mean(-1) / self.lips.eyes
        gaps = [np.linalg.norm(x[:, 25] - x[:, 35], axis=1) / self.lips.eyes for x in (seen, self.true)]
        shake = [float((x[2:] - 2 * x[1:-1] + x[:-2]).abs().mean()) for x in (a, b)]
        sharp = [float(edges(x).abs().mean()) for x in (a, b)]
        figures = [
            psnr(a, b).mean().item(),
            ssim(a, b).mean().item(),
            100 * float(np.median(apart)),
            float(np.corrcoef(*gaps)[0, 1]),
            shake[0] / shake[1],
            sharp[0] / sharp[1],
            1e3 * spent[0] / len(self.frames),
            1e3 * spent[1] / len(self.frames),
        ]
        told = " ".join(f"{value:>8.3f}" for value in figures[:6])
        return f"{name:<18} {told} {figures[6]:>9.1f} {figures[7]:>9.1f}", canvases

    def _drawn(self, draw: Callable[[View], Drawn], view: View, spent: list[float]) -> tuple[Drawn, Tensor]:
        started = time.process_time()
        drawn = draw(view)
        between = time.process_time()
        pasted = paste(view.pictures, drawn.patches, drawn.places, drawn.alpha)
        spent[0] += between - started
        spent[1] += time.process_time() - between
        return drawn, pasted


HEAD = "drawn by               PSNR     SSIM     lips  opening    shake    sharp   draw ms  paste ms"


def edges(pictures: Tensor) -> Tensor:
    """What a Laplacian sees of pictures (B, 3, H, W)."""
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).expand(3, 1, 3, 3)
    return torch.nn.functional.conv2d(pictures, kernel, groups=3)


def judge_of(one: Material, video: Path) -> Judge:
    count = len(one.seen)
    edge = round(count * (1 - HELD_OUT))
    frames = np.flatnonzero(one.seen)
    frames = frames[frames >= edge]
    shown = VideoReader(video).read(int(frames[0]), int(frames[-1]) + 1)
    pictures = [p for number, p in enumerate(shown, int(frames[0])) if one.seen[number]]
    stacked = torch.from_numpy(np.stack(pictures))
    lips = Lips(np.asarray(one.group.read("track/landmarks"))[frames])
    wanted = torch.from_numpy(one.fit("expression"))
    return Judge(one, frames, stacked, lips, lips(stacked), wanted)


class Speaking:
    """Only what listens."""

    rate: float | None = 25.0

    def __init__(self, net: Any) -> None:
        self._net = net

    def listen(self, sound: Any) -> Iterator[Motion]:
        return (Motion(rows) for rows in listen(self._net, sound))


def speaking(home: Home, one: Material, work: Path) -> Any:
    """The expression stage, trained on the same part of the clip from its general weights."""
    method = find_method("memface")
    config = method.config("cpu")
    stage = method.stages(config)[0]
    start = start_arrays(read_weights(Registry().find(str(stage.general)).path))
    about = About("memface", stage.name, "cpu", config.as_dict())
    path = write_stage_bundle(work / "said", home, stage, about, [one], Cut(held_out=HELD_OUT), brought=start)
    bundle = Bundle(path)
    trainee = method.trainee(stage.name, config, bundle, bundle.start())
    with opened("auto") as place:
        done = train(trainee, work / "speaking", "bench", place=place)
    return Speaking(load_expression(config.expression, done.best.tensors))


def trained(
    config: RendererConfig, bundle: Bundle, folder: Path, say: Callable[[str], None]
) -> tuple[dict[str, Tensor], float]:
    """Weights, and seconds of all threads that they took."""
    trainee = RendererTrainee(config, bundle, None)
    started, shown = time.process_time(), [0.0]

    def progress(told: Any) -> None:
        if time.monotonic() - shown[0] > 30:
            shown[0] = time.monotonic()
            step = f"  step {told.step}/{told.steps}, held out {told.held_out:.3f}"
            say(f"{step}, {told.seconds_left:.0f} s left")

    with opened("auto") as place:
        done = train(trainee, folder, "bench", place=place, progress=progress)
    return done.best.tensors, time.process_time() - started


def sheet(path: Path, rows: list[tuple[str, Tensor]], count: int = 10) -> None:
    """Mouths under each other, the truth on top."""
    from PIL import Image

    lines = []
    for _, canvases in rows:
        at = torch.linspace(0, len(canvases) - 1, count + 2).long()[1:-1]
        lines.append(np.concatenate([canvases[int(i)].numpy() for i in at], 1))
    picture = Image.fromarray(np.concatenate(lines))
    picture.resize((picture.width * 3 // 2, picture.height * 3 // 2), Image.Resampling.LANCZOS).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("who", nargs="?", default="senator", choices=("senator", "puppet"))
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--sound", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    home = Home(str(options.home or prepared(options.who)))
    (identity,) = [p.name for p in (Path(home.url) / "identities").iterdir()]
    config = renderer_config(options.preset)
    if options.steps is not None:
        config = replace(config, plan=replace(config.plan, steps=options.steps))
    sources = features_of(home, Ledger(home.objects), identity)[:1]
    (one,) = open_materials(home, [sources[0].features])
    memory = remember(home, identity, sources, RememberOptions(side=config.side, share=1 - HELD_OUT))
    with tempfile.TemporaryDirectory() as passing, video_of(home, one.clip) as video:
        work = options.keep or Path(passing)
        work.mkdir(parents=True, exist_ok=True)
        judge = judge_of(one, video)
        if options.sound:
            judge = replace(judge, wanted=wanted_by(one, speaking(home, one, work)))
        rows = compare(home, judge, memory, config, work)
    if options.sheet is not None:
        sheet(options.sheet, rows)


def compare(
    home: Home, judge: Judge, memory: Any, config: RendererConfig, work: Path
) -> list[tuple[str, Tensor]]:
    """Prints the table; canvases by name, the truth first."""
    stage = Stage("renderer", True, RENDERER_ARRAYS, side=config.side)
    about = About("memface", "renderer", "cpu", config.as_dict())
    path = write_stage_bundle(
        work / "bundle", home, stage, about, [judge.one], Cut(held_out=HELD_OUT), memory=memory
    )
    bundle, kept = Bundle(path), open_memory(home, memory)
    person = Person(
        bundle.tensor("identity"),
        bundle.tensor("texture"),
        Memory(*(torch.from_numpy(a) for a in (kept.keys, kept.patches, kept.points, kept.turn))),
        {},
    )
    order = torch.randperm(len(kept.keys), generator=torch.Generator().manual_seed(0))
    assert person.memory is not None
    other = {"patches": person.memory.patches[order], "points": person.memory.points[order]}
    shuffled = person._replace(memory=person.memory._replace(**other))
    weights, seconds = trained(config, bundle, work / "on", print)
    without = replace(config, memory=False)
    weights_off, seconds_off = trained(without, bundle, work / "off", print)
    print(f"trained with memory in {seconds:.0f} s of one core, without in {seconds_off:.0f} s\n{HEAD}")
    speakers = {
        "nearest": NearestSpeaker(NearestConfig(config.side), person),
        "memory off": Painter(without, weights_off, person),
        "memory shuffled": Painter(config, weights, shuffled),
        "memory on": Painter(config, weights, person),
    }
    rows: list[tuple[str, Tensor]] = []
    for name, speaker in speakers.items():
        line, canvases = judge.line(name, speaker, config.side)
        print(line, flush=True)
        if not rows:
            speaker.meet(template_of(judge.one))
            at = speaker._canvases.places[torch.from_numpy(judge.frames)]
            rows.append(("truth", sample(judge.pictures, at, config.side)))
        rows.append((name, canvases))
    return rows


if __name__ == "__main__":
    main()
