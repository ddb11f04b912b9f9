"""FACIAL through the product: is somebody performed as they are, by all that a dub is drawn from?

    python -m tests.bench.performed FOLDER [--people calm,lively,senator] [--preset P] [--films] [--lengths]

`calm` and `lively` are puppets of known and different manners, 115 s to learn from; `senator` is a real
person, 48 s. Each is filmed, ingested, extracted and trained; homes stay in FOLDER, and a second call does
nothing but measure. Then everybody performs speech that they were not trained on: that of their own unseen
film, by which lips are judged, and that of the others' films, as a few seconds have too few blinks to count.
What is measured is `Speaker.listen` over the person's own template; with `--films` the longest is dubbed,
extracted like any footage, and measured again. `--lengths` has the last of them perform from half a second to
an hour, and tells the memory that it took.

Blinks a minute, how long they last, deviation of every axis of the pose and of its speed stand against the
film that was learned from. Last, whose manner it is: of all people's, the nearest to what was performed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
from torch import Tensor

from flows import dub as dubbing
from flows.extract import extract
from flows.ingest import ingest
from flows.readiness import looked_at
from flows.train import train
from models.facial.clocks import Reread
from models.facial.columns import BLINK_MOST, EXPRESSION, NAMES, POSE, to_columns
from models.facial.config_performer import RATE, PerformerConfig
from models.facial.filters import settled
from models.facial.manner import Measured, measured
from models.memface.losses_expression import opening_of
from models.methods import Motion
from models.morphable.builtin import builtin
from models.puppet.texts import ENGLISH_40_S, ENGLISH_60_S, ENGLISH_SENTENCES
from storage.home import Home
from storage.ledger import Ledger
from storage.media import VideoReader
from tasks._performances import performance_rows
from tasks.dubbing.hearing import listen
from tasks.dubbing.stage import DubOptions
from tasks.extract import video_of
from tasks.film import Script, film
from tasks.material import Cut, Material, open_materials
from tasks.remember import features_of
from tasks.training import TrainOptions
from tests.bench.dubbing import speech
from tests.bench.footage import real_footage
from tests.bench.held_out import EDGE_S, cut
from tests.bench.renderer_people import RECORD

PUPPETS = {"calm": 1, "lively": 2}  # seeds; who they are is told by `vivid_style`
REAL = "senator"
LEAST = {"calm": 0.8, "lively": 0.8, REAL: 0.5}  # correlation of the lips' opening that is asked for
WITHIN, MOST_JUMP = 0.3, 1.5  # of a figure of a manner; degrees a row, where windows meet
DUB, UNSEEN = "-dub", "-unseen"  # identities of films that were not learned from


@dataclass(frozen=True)
class Somebody:
    """A person in a home of their own."""

    name: str
    folder: Path
    preset: str

    @property
    def home(self) -> Home:
        return Home(str(self.folder / "home"))

    @cached_property
    def films(self) -> tuple[Path, Path]:
        """One to learn from, one that nobody is shown."""
        learned, unseen = self.folder / "learned.mp4", self.folder / "unseen.mp4"
        if unseen.exists():
            return learned, unseen
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.name in PUPPETS:
            seed, long = PUPPETS[self.name], " ".join([ENGLISH_60_S, *ENGLISH_SENTENCES[:12]])
            film(Script(seed, long, vivid=True, supersample=1), learned, workers=2)
            film(Script(seed, ENGLISH_40_S, vivid=True, supersample=1), unseen, workers=2)
            return learned, unseen
        footage = real_footage()
        if footage is None:
            raise SystemExit("no real footage: set MEMDUB_FOOTAGE")
        video = footage / "video" / "senator_60s_256.mp4"
        return cut(video, 0, EDGE_S, learned), cut(video, EDGE_S, None, unseen)

    def made_ready(self, films: bool) -> None:
        """Both films extracted; the second as somebody else's, so that nothing is learned from it."""
        for name, film_ in ((self.name, self.films[0]), (self.name + UNSEEN, self.films[1])):
            if not self._clips(name):
                self._taken(name, film_)
        begun = time.perf_counter()
        for stage in ("expression", "performer", "picture"):
            # Who is not to be seen need not be drawn well.
            plan = {"steps": 1} if stage == "picture" and not films else {}
            options = TrainOptions("facial", self.preset, stage=stage, plan=plan)
            train(self.name, options, home=self.home.url)
        print(f"{self.name}: trained in {(time.perf_counter() - begun) / 60:.1f} minutes", flush=True)

    def _taken(self, name: str, video: Path) -> None:
        record = self.folder / f"{name}.toml"
        record.write_text(RECORD.format(today=dt.date.today()))
        ingest([video], name, record=record, home=self.home.url)
        extract([name], home=self.home.url).raise_if_refused()

    def _clips(self, name: str) -> list[str]:
        return [row["id"] for row in Ledger(self.home.objects).live_clips(name)]

    def _materials(self, name: str) -> list[Material]:
        features = features_of(self.home, Ledger(self.home.objects), name)
        return open_materials(self.home, [one.features for one in features])

    @cached_property
    def learned(self) -> Material:
        return self._materials(self.name)[0]

    @cached_property
    def unseen(self) -> Material:
        return self._materials(self.name + UNSEEN)[0]

    @cached_property
    def own(self) -> list[Tensor]:
        """Rows of the film that was learned from, without the tracker's tremor."""
        return rows_of(self.learned)

    def performed(self, sound: Path) -> Tensor:
        """Rows at 30 a second for this sound, as a dub is drawn from them."""
        parts, rates = zip(*self.performing(sound), strict=True)
        # As films are read, whatever their rate.
        rows = torch.cat(parts)
        return Reread(iter([rows]), rates[0], RATE).read(0, round(len(rows) * RATE / rates[0]))

    def performing(self, sound: Path) -> Iterator[tuple[Tensor, float]]:
        """Blocks of rows, so many a second."""
        options = DubOptions("facial", self.preset, self.learned.clip.id)
        place, known, audio = looked_at(self.home.url, self.name, sound, options)
        job = dubbing._job(place, self.name, audio, options, known)
        with tempfile.TemporaryDirectory() as passing, video_of(place, self.learned.clip) as video:
            width, height = VideoReader(video).size
            speaker = job.cast.speakers(place, Path(passing), 0, self.learned)()
            speaker.meet(job.chosen.template(height, width))
            hearing = listen(audio, job.backend, Path(passing) / "sound")
            camera = torch.from_numpy(np.median(self.learned.fit("camera")[self.learned.seen], 0))
            for block in speaker.listen(hearing.blocks()):
                yield _columns(block, camera, height, width), float(speaker.rate or RATE)

    def dubbed(self, sound: Path) -> Tensor:
        """Rows of the finished film, tracked like any other."""
        name = self.name + DUB
        if not self._clips(name):
            made = self.folder / "dub.mp4"
            options = DubOptions("facial", self.preset, self.learned.clip.id)
            dubbing.dub(self.name, sound, made, options=options, home=self.home.url)
            self._taken(name, made)
        return rows_of(self._materials(name)[0])[0]


def _columns(motion: Motion, camera: Tensor, height: int, width: int) -> Tensor:
    assert motion.rotation is not None
    assert motion.translation is not None
    assert motion.blink is not None
    pose = (motion.rotation, motion.translation, camera.expand(len(motion.rotation), -1))
    return to_columns(*pose, BLINK_MOST * motion.blink, motion.expression, height, width)


def rows_of(material: Material) -> list[Tensor]:
    """A film's rows run by run."""
    segments, arrays = performance_rows([material], Cut(held_out=0.0))
    rows = torch.from_numpy(np.asarray(arrays["performed"], np.float32))
    runs = [rows[one.start : one.stop].clone() for one in segments]
    for run in runs:
        run[:, POSE] = settled(run[:, POSE])
    return runs


# What is told ------------------------------------------------------------------------------------------


def manners(made: Measured, own: Measured) -> Iterator[tuple[str, float, float]]:
    """Name, performed, own."""
    yield "blinks a minute", made.blinks, own.blinks
    yield "blink, s", made.blink_s, own.blink_s
    for k, name in enumerate(NAMES[:6]):
        yield f"{name}, deviation", float(made.spread[k]), float(own.spread[k])
        yield f"{name}, of speed", float(made.speed[k]), float(own.speed[k])


def table(title: str, made: Measured, own: Measured) -> Iterator[str]:
    yield f"\n## {title}\n\n| | performed | own | ratio | |\n|---|---|---|---|---|"
    met = []
    for name, value, wanted in manners(made, own):
        ratio = value / wanted if wanted else float("nan")
        met.append(abs(ratio - 1) <= WITHIN)
        yield f"| {name} | {value:.3g} | {wanted:.3g} | {ratio:.2f} | {'yes' if met[-1] else 'NO'} |"
    yield f"\n{sum(met)} of {len(met)} within {WITHIN:.0%}"


def away(made: Measured, own: Measured) -> float:
    """Mean distance of figures of a manner, logarithms of their ratios."""
    pairs = [(value, wanted) for _, value, wanted in manners(made, own)]
    return float(np.mean([abs(np.log(max(a, 1e-3) / max(b, 1e-3))) for a, b in pairs]))


def opening(made: Tensor, true: Sequence[Tensor]) -> float:
    """Correlation of the lips' opening with the unseen film's."""
    gap = opening_of(builtin())
    ours, film = made[:, EXPRESSION] @ gap, torch.cat(list(true))[:, EXPRESSION] @ gap
    count = min(len(ours), len(film))
    return float(torch.corrcoef(torch.stack([ours[:count], film[:count]]))[0, 1])


def turns(rows: Tensor, config: PerformerConfig) -> tuple[float, float]:
    """Degrees a row of the quickest turn where windows meet, and elsewhere."""
    hop, steps = config.window - config.joint, (rows[1:, :3] - rows[:-1, :3]).abs().amax(1)
    meet = torch.zeros(len(steps), dtype=torch.bool)
    for at in range(hop, len(steps), hop):
        meet[at - 1 : at + config.joint + 1] = True
    inside, outside = (float(steps[one].max()) if bool(one.any()) else 0.0 for one in (meet, ~meet))
    return inside, outside


def told(one: Somebody, everybody: Sequence[Somebody], config: PerformerConfig) -> Iterator[str]:
    """All that is measured of one."""
    lips = one.performed(one.films[1])
    made = [lips, *(one.performed(other.films[0]) for other in everybody if other is not one)]
    figures = measured(made)
    yield from table(one.name, figures, measured(one.own))
    value = opening(lips, rows_of(one.unseen))
    yield f"opening r = {value:.3f}, {LEAST[one.name]} asked for: {verdict(value >= LEAST[one.name])}"
    meet, else_ = (max(values) for values in zip(*(turns(rows, config) for rows in made), strict=True))
    own = max(turns(rows, config)[1] for rows in one.own)
    yield f"quickest turn where windows meet {meet:.2f} degrees a row: {verdict(meet <= MOST_JUMP)}"
    yield f"elsewhere {else_:.2f}, in the person's own film {own:.2f}"
    apart = {other.name: away(figures, measured(other.own)) for other in everybody}
    nearest = min(apart, key=lambda name: apart[name])
    distances = ", ".join(f"{name} {value:.2f}" for name, value in apart.items())
    yield f"distance to the manner of {distances}: {verdict(nearest == one.name)}"


def lengths(one: Somebody) -> Iterator[str]:
    """Speech of any length, and what memory it takes."""
    yield f"\n## {one.name}, speech of any length\n"
    yield "| speech | rows | seconds | memory at most |\n|---|---|---|---|"
    for seconds in (0.5, 4.3, 60.0, 3600.0):
        begun, count = time.perf_counter(), 0
        with tempfile.TemporaryDirectory() as passing:
            for rows, _ in one.performing(speech(Path(passing) / "speech.wav", seconds)):
                assert bool(torch.isfinite(rows).all())
                count += len(rows)
        took, most = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield f"| {seconds:g} s | {count} | {took:.1f} | {most / 1024:.0f} MiB |"


def verdict(met: bool) -> str:
    return "yes" if met else "NO"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=lambda text: text.split(","), default=[*PUPPETS, REAL])
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--films", action="store_true")
    parser.add_argument("--lengths", action="store_true")
    asked = parser.parse_args()
    everybody = [Somebody(name, asked.folder / name, asked.preset) for name in asked.people]
    for one in everybody:
        one.made_ready(asked.films)
    config = PerformerConfig.preset(asked.preset)
    for one in everybody:
        print("\n".join(told(one, everybody, config)), flush=True)
    for line in lengths(everybody[-1]) if asked.lengths else ():
        print(line, flush=True)
    for one in everybody if asked.films else ():
        longest = max(
            (other.films[0] for other in everybody if other is not one), key=lambda path: path.stat().st_size
        )
        title = f"{one.name}, the finished film"
        print("\n".join(table(title, measured([one.dubbed(longest)]), measured(one.own))), flush=True)


if __name__ == "__main__":
    main()
