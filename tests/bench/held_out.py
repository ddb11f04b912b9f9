"""A dub held against the truth: speech that nobody trained on, over the very pictures it was spoken in.

    python -m tests.bench.held_out puppet      a puppet, a minute to learn from, four sentences to be dubbed
    python -m tests.bench.held_out senator     60 s of a real person: 48 s to learn from, 12 s to be dubbed
    --methods memface,dinet,synctalkface; --refined trains on the first film what methods leave to choice
    --preset P, --steps N (of the last stage); --keep FOLDER goes on in a home kept there; --sheet X.png

Everything goes through the product: ingest, extract, train on the first film alone; then the second film is
dubbed with its own sound, and with the sound of two seconds earlier. Finished films are watched as anybody
would, and told of by `tasks.judging.films`: `opening` is the correlation of the lips' gap with the true
film's, `late` the frames at which it is highest, `lips` LMD, PSNR that of a box around the true mouth. What
`ridge` is says `tests.bench.held_out_figures`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

from PIL import Image

from flows.dub import dub
from flows.extract import extract
from flows.ingest import ingest
from flows.train import train
from models.puppet.texts import ENGLISH_60_S, ENGLISH_SENTENCES
from storage.home import Home
from storage.ledger import Ledger
from storage.media import MediaWriter, VideoReader, read_sound
from tasks.dubbing.stage import DubOptions
from tasks.extract import video_of
from tasks.film import Script, film
from tasks.material import Material, open_materials
from tasks.measuring import RATE as SOUND_RATE
from tasks.measuring import earlier, write_sound
from tasks.remember import features_of
from tasks.training import TrainOptions, method_of
from tasks.trials import WRONG_S
from tasks.watching import mouth_sheet, watch
from tests.bench.footage import real_footage
from tests.bench.held_out_figures import Score, ridge, score
from tests.bench.renderer_people import RECORD

WHO = "speaker"
WRONG = ", wrong sound"
RATE = 25
EDGE_S = 48


def cut(source: Path, start_s: float, stop_s: float | None, target: Path) -> Path:
    """A part of a film as a film of its own."""
    reader = VideoReader(source)
    first, last = round(start_s * RATE), None if stop_s is None else round(stop_s * RATE)
    sound = read_sound(source, 48_000)[first * 1920 : None if last is None else last * 1920]
    with MediaWriter(target, reader.size, Fraction(RATE), 48_000, crf=8) as out:
        for picture in reader.read(first, last):
            out.write_frame(picture)
        out.write_sound(sound)
    return target


def films(who: str, folder: Path) -> tuple[Path, Path]:
    """One to learn from, one to be dubbed."""
    if who == "puppet":
        learned, unseen = folder / "learned.mp4", folder / "unseen.mp4"
        for path, text in ((learned, ENGLISH_60_S), (unseen, " ".join(ENGLISH_SENTENCES[:4]))):
            if not path.exists():
                film(Script(4, text), path, workers=2)
        return learned, unseen
    footage = real_footage()
    if footage is None:
        raise SystemExit("no real footage: set MEMDUB_FOOTAGE")
    video = footage / "video" / "senator_60s_256.mp4"
    return cut(video, 0, EDGE_S, folder / "learned.mp4"), cut(video, EDGE_S, None, folder / "unseen.mp4")


def learned_by(home: Home, video: Path, options: argparse.Namespace) -> Material:
    """Ingested, extracted, trained; what it held."""
    record = Path(video).with_name("consent.toml")
    record.write_text(RECORD.format(today=dt.date.today()))
    ingest([video], WHO, record=record, home=home.url)
    extract([WHO], home=home.url).raise_if_refused()
    for method in options.methods:
        begun = time.perf_counter()
        stages = _personal(method, options.preset, options.refined)
        for number, stage in enumerate(stages, 1):
            last = options.steps is not None and number == len(stages)
            plan: dict[str, Any] = {"steps": options.steps} if last else {}
            train(WHO, TrainOptions(method, options.preset, stage=stage, plan=plan), home=home.url)
        print(f"{method} trained in {(time.perf_counter() - begun) / 60:.1f} minutes", flush=True)
    return _newest(home)


def _personal(method: str, preset: str, refined: bool) -> list[str]:
    """Stages that are trained on the person: all, or those that must be."""
    made, config = method_of(TrainOptions(method, preset))
    return [one.name for one in made.stages(config) if one.personal and (refined or not one.optional)]


def _newest(home: Home, but: str = "") -> Material:
    sources = features_of(home, Ledger(home.objects), WHO)
    return next(m for m in open_materials(home, [one.features for one in sources]) if m.clip.id != but)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("who", nargs="?", default="senator", choices=("senator", "puppet"))
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=["memface"])
    parser.add_argument("--refined", action="store_true")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        work = options.keep or Path(passing)
        work.mkdir(parents=True, exist_ok=True)
        return compare(options, work)


def compare(options: argparse.Namespace, work: Path) -> int:
    home = Home(str(work / "home"))
    first, second = films(options.who, work)
    learned = learned_by(home, first, options)
    ingest([second], WHO, home=home.url)
    extract([WHO], home=home.url).raise_if_refused()
    unseen = _newest(home, but=learned.clip.id)
    with video_of(home, learned.clip) as early, video_of(home, unseen.clip) as truth:
        seen, true = watch(early), watch(truth)
        wrong = write_sound(work / "wrong.wav", earlier(read_sound(truth, SOUND_RATE), WRONG_S))
        sounds = {"nearest": truth}
        sounds |= {f"{one}{end}": x for one in options.methods for end, x in (("", truth), (WRONG, wrong))}
        made = {name: work / f"{name}.mp4" for name in sounds}
        for name, sound in sounds.items():
            hidden = (0, len(unseen.seen))  # nobody is shown a frame that is judged
            asked = DubOptions(
                name.split(",")[0], options.preset, unseen.clip.id, without=hidden, pose="template"
            )
            dub(WHO, sound, made[name], options=asked, home=home.url)
        watched = {name: watch(path) for name, path in made.items()}
        scores = {name: score(path, watched[name], truth, true, unseen) for name, path in made.items()}
        read = ridge(learned, seen, unseen, true)
        if options.sheet is not None:
            rows = [(truth, true), *((made[name], watched[name]) for name in made)]
            picture = mouth_sheet(rows)
            options.sheet.with_suffix(".jpg").write_bytes(picture)
            Image.open(options.sheet.with_suffix(".jpg")).save(options.sheet)
    return report(options, scores, read)


def report(options: argparse.Namespace, scores: dict[str, Score], read: tuple[float, float]) -> int:
    """The table, and what is wanted of it."""
    print(f"\n| {options.who} | opening | late | lips, % | PSNR, dB |\n|---|---|---|---|---|")
    print(f"| ridge, log-mel | {read[0]:.3f} | | | |\n| ridge, wrong sound | {read[1]:.3f} | | | |")
    for name, one in scores.items():
        print(f"| {name} | {one.opening:.3f} | {one.late} | {one.lips:.2f} | {one.psnr:.2f} |")
    met: dict[str, bool] = {}
    for method in options.methods:
        wanted = _wanted(options.who, method, scores, read)
        met |= {f"{method}: {what}": yes for what, yes in wanted.items()}
    print("\n" + "\n".join(f"{name}: {'yes' if yes else 'NO'}" for name, yes in met.items()))
    return 0 if all(met.values()) else 1


def _wanted(who: str, method: str, scores: dict[str, Score], read: tuple[float, float]) -> dict[str, bool]:
    own, plain, wrong = scores[method], scores["nearest"], scores[f"{method}{WRONG}"]
    met = {"in step, 0 +- 1 frame": own.late is not None and abs(own.late) <= 1}
    if method != "memface":
        met["lips nearer than nearest's"] = own.lips < plain.lips
        met["wrong sound below .2"] = wrong.opening < 0.2
        return met
    least = 0.85 if who == "puppet" else 0.5
    met[f"opening at least {least}"] = own.opening >= least
    met["lips at least 15 % nearer than nearest's"] = own.lips <= 0.85 * plain.lips
    if who == "puppet":
        met["PSNR at least 3 dB above nearest's"] = own.psnr >= plain.psnr + 3
    else:
        met["opening at least .05 above the ridge's"] = own.opening >= read[0] + 0.05
        met["wrong sound below .2"] = wrong.opening < 0.2
    return met


if __name__ == "__main__":
    raise SystemExit(main())
