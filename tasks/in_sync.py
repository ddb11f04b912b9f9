"""How well a film's lips are in step with its sound: `python -m tasks.in_sync FILM...`

    expert = bundled_expert(home)
    measured(film, expert)                       # of any film, which is looked at as a stranger's
    measured_clip(home, material, expert)        # of a clip with features: nothing is tracked again

`sync_c`, `sync_d` and `offset` (frames at 25 a second; > 0: the sound is late) are told by this project's
expert: see `models.sync.measuring`. Where MEMDUB_SYNCNET_WEIGHTS names the public SyncNet's weights, LSE-C
and LSE-D are told by them. Nothing is told (None) of what is too short. Called by `tasks.judged`.

Shape legend: K frames at 25 a second.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.canvas import places, sample
from models.canvas.framing import MOUTH
from models.networks.blocks import pictures_in
from models.sync import SyncNet, load_expert, mouths_of
from models.sync.measuring import apart, evened
from models.sync.measuring import measured as step_of
from models.sync.public import Scorer, load_public
from models.sync.sight import FRAMES
from storage.errors import MemdubError, WeightsError
from storage.home import Home
from storage.ledger import Ledger
from storage.media import read_sound
from storage.weights import Registry
from tasks._film_faces import Faces, faces_of, places_of, public_boxes, public_face
from tasks._film_in_time import RATE, Film, pictures_of, runs_of, sound_of_film
from tasks.audio import AudioFeatures, extract_audio, find_backend
from tasks.ears import Ear, ear_of
from tasks.extract import video_of
from tasks.material import Material
from tasks.measuring import RATE as SOUND_RATE
from tasks.measuring import in_step
from tasks.threads import one_thread
from tasks.training import read_weights

__all__ = ["PUBLIC", "bundled_expert", "expert_of", "main", "measured", "measured_clip", "public_scorer"]

PUBLIC = "MEMDUB_SYNCNET_WEIGHTS"
_SIDE, _BLOCK = 64, 32
_FIT = ("identity", "rotation", "translation", "camera")


def bundled_expert(home: Home | None = None) -> SyncNet:
    """The expert that comes with the package, or the one that the user puts in its place."""
    return expert_of(Registry(None if home is None else home.url).find("sync").path)


def expert_of(file: Path) -> SyncNet:
    """The expert of a file of weights, or of a checkpoint."""
    weights = read_weights(file)
    return load_expert({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})


def public_scorer(environ: Mapping[str, str] = os.environ) -> Scorer | None:
    """The public SyncNet, where the user has its weights."""
    named = environ.get(PUBLIC)
    try:
        return load_public(named) if named else None
    except ValueError as error:
        raise WeightsError(str(error), do=f"correct or unset {PUBLIC}") from error


@one_thread()
def measured(
    film: Path, expert: SyncNet, first: int = 0, stop: int | None = None, public: Scorer | None = None
) -> dict[str, float | None]:
    """A film's figures by name, of all of it or of some frames of it."""
    faces = faces_of(film, first, stop)
    heard = extract_audio(film, find_backend("embedded"))
    return _told(_film_of(film, faces), heard, expert, public)


@one_thread()
def measured_clip(
    home: Home, material: Material, expert: SyncNet, public: Scorer | None = None
) -> dict[str, float | None]:
    """The same of a clip, with its sound where extraction brought it."""
    usual = ear_of(Ledger(home.objects), material.features).fits(Ear())
    with video_of(home, material.clip) as video:
        heard = _heard_of(material) if usual else extract_audio(video, find_backend(Ear().name))
        return _told(_clip_of(video, material), heard, expert, public)


def _film_of(film: Path, faces: Faces) -> Film:
    shot = np.where(faces.seen, faces.shot, -1)
    return Film(film, faces.first, faces.rate, places_of(faces, _SIDE), shot, faces.landmarks)


def _clip_of(video: Path, one: Material) -> Film:
    who, turn, moved, camera = (torch.from_numpy(one.fit(name)) for name in _FIT)
    seen, number = torch.from_numpy(one.seen), torch.from_numpy(one.shot)
    lain = places(who[seen].mean(0), turn, moved, camera, number, seen, one.rate, _SIDE)
    shot, points = np.where(one.seen, one.shot, -1), one.group.read("track/landmarks")
    return Film(video, 0, one.rate, lain, shot, points, one.sound_late_s)


def _heard_of(one: Material) -> AudioFeatures:
    names = ("deepspeech", "mel", "loudness", "voice")
    rows = {name: np.asarray(one.group.read(f"audio/{name}"), np.float32) for name in names}
    return AudioFeatures(**rows, duration_s=len(one.seen) / one.rate)


def _told(
    film: Film, heard: AudioFeatures, expert: SyncNet, public: Scorer | None
) -> dict[str, float | None]:
    runs, sound = runs_of(film), sound_of_film(film, heard)
    known = evened([_embedded(film, sound, expert, *run) for run in runs])
    step = step_of([apart(seen, heard) for seen, heard in known])
    told = step._asdict()
    if public is not None:
        told |= _by_public(film, runs, public)
    return {name: value if math.isfinite(value) else None for name, value in told.items()}


@torch.inference_mode()
def _embedded(film: Film, sound: Tensor, expert: SyncNet, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """What is seen and heard in one run, looked at in blocks: no more than those are held."""
    parts: list[Tensor] = []
    kept = torch.zeros(0)
    pictures = pictures_of(film, start, stop)
    for at in range(start, stop, _BLOCK):
        block = torch.from_numpy(np.stack(list(itertools.islice(pictures, min(_BLOCK, stop - at)))))
        lain = film.places[film.at[at : at + len(block)]]
        looked = expert.looked(mouths_of(pictures_in(sample(block, lain, _SIDE)), MOUTH))
        kept = torch.cat([kept[-FRAMES + 1 :], looked]) if len(kept) else looked
        if len(kept) >= FRAMES:
            parts.append(expert.together(kept.unfold(0, FRAMES, 1).movedim(-1, 1)))
    return torch.cat(parts), expert.hear_run(sound[start:stop])


def _by_public(film: Film, runs: Sequence[tuple[int, int]], public: Scorer) -> dict[str, float]:
    """Of the longest run, as the public protocol scores one track of a face."""
    if not runs:
        return {"lse_c": math.nan, "lse_d": math.nan}
    start, stop = max(runs, key=lambda run: run[1] - run[0])
    boxes = public_boxes(film.landmarks[film.at[start:stop]])
    faces = (public_face(p, box) for p, box in zip(pictures_of(film, start, stop), boxes, strict=True))
    late = film.begin_s + start / RATE
    sound = in_step(read_sound(film.video, SOUND_RATE), late, (stop - start) / RATE)
    score = public(faces, sound)
    return {"lse_c": score.lse_c, "lse_d": score.lse_d}


def main(arguments: Sequence[str] | None = None) -> int:
    """A line a film; errors are one line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("films", nargs="+", type=Path, metavar="FILM")
    parser.add_argument("--weights", type=Path, help="a checkpoint of the expert, instead of the bundled one")
    parser.add_argument("--json", action="store_true", help="an object a line")
    asked = parser.parse_args(arguments)
    try:
        expert = bundled_expert() if asked.weights is None else expert_of(asked.weights)
        public = public_scorer()
        for film in asked.films:
            told = measured(film, expert, public=public)
            print(json.dumps({"film": str(film), **told}) if asked.json else _line(film, told), flush=True)
    except (MemdubError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _line(film: Path, told: Mapping[str, float | None]) -> str:
    shown = (f"{name} {'-' if value is None else f'{value:.2f}'}" for name, value in told.items())
    return f"{film.name}  {'  '.join(shown)}"


if __name__ == "__main__":
    raise SystemExit(main())
