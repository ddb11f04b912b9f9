"""A ledger of people, clips, features, trainings, dubs and evaluations, by rows alone: nothing is filmed.

    ledger = Ledger(open_objects(str(tmp_path)))
    invent(ledger, Size(people=2, clips=3, frames=40, dubs=2))

Rows are written by the ledger's own writer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from storage.ledger import TABLES, Commit, Ledger

__all__ = ["METHODS", "STAGES", "Size", "artifact", "invent", "name_of", "person"]

STAGES = ("faces", "track", "audio", "fit", "features")
METHODS = ("nearest", "memface")
Row = dict[str, Any]
BEGUN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
AT_ONCE = 5000
# Recipes carry a method's whole configuration: questions read past texts of a usual size.
_CONFIG = {f"a number of the method {number}": number / 7 for number in range(40)}


@dataclass(frozen=True)
class Size:
    """How much of everything. Of every clip, dubs beyond the evaluated two speak by files of their own."""

    people: int = 2
    clips: int = 3  # of each person
    frames: int = 40  # of each clip
    dubs: int = 2  # of each clip, besides those that are evaluated
    rate: int = 25


def name_of(kind: str, what: str) -> str:
    """The artifact's id."""
    return f"{kind}-{hashlib.sha256(f'{kind} {what}'.encode()).hexdigest()[:20]}"


def artifact(
    kind: str, what: str, identity: str | None, inputs: dict[str, str], *, stage: str = "", **more: Any
) -> Commit:
    """An artifact's rows without its own tables. `more`: version, minute, parameters, raw, bytes."""
    stage, raw = stage or kind, more.get("raw", {})
    recipe = {
        "kind": kind,
        "stage": stage,
        "parameters": more.get("parameters", {}),
        "inputs": inputs,
    }
    row = {
        "id": name_of(kind, what),
        "kind": kind,
        "identity": identity,
        "uri": f"stores/{kind}/{name_of(kind, what)}",
        "content_hash": hashlib.sha256(what.encode()).hexdigest(),
        "bytes": more.get("bytes", 1000),
        "recipe": json.dumps(recipe),
        "method": recipe["parameters"].get("method"),
        "preset": recipe["parameters"].get("preset"),
        "stage": stage,
        "stage_version": more.get("version", 1),
        "code_revision": "invented",
        "started": BEGUN + dt.timedelta(minutes=more.get("minute", 0)),
        "seconds": 1.0,
        "host": "nowhere",
        "run_id": "run",
    }
    edges = [
        {"child": row["id"], "parent": parent, "role": role, "parent_name": None}
        for role, parent in inputs.items()
    ]
    for role, name in raw.items():
        edges.append({"child": row["id"], "parent": sha256(name), "role": role, "parent_name": name})
    return Commit(row, edges)


def sha256(name: str) -> str:
    """How a raw file is named by its content."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def invent(ledger: Ledger, size: Size) -> int:
    """Commit everybody; returns how many artifacts that are."""
    waiting: list[Commit] = []
    count = 0
    for number in range(size.people):
        for commit in person(f"person{number:02d}", size):
            waiting.append(commit)
            count += 1
            if len(waiting) == AT_ONCE:
                ledger.commit(*waiting)
                waiting.clear()
    if waiting:
        ledger.commit(*waiting)
    return count


def person(identity: str, size: Size) -> Iterator[Commit]:
    """All artifacts of one person, each after what it is made of."""
    clips = [f"{identity} {number}" for number in range(size.clips)]
    for number, clip in enumerate(clips):
        yield from _extracted(identity, clip, number, size)
    features = {f"features {n}": name_of("features", clip) for n, clip in enumerate(clips)}
    memory = artifact("memory", identity, identity, features, stage="remember", minute=10)
    yield memory
    for stage in ("expression", "frame"):
        yield _checkpoint(identity, stage, features | {"memory": memory.artifact["id"]})
    for number, clip in enumerate(clips):
        yield from _dubbed(identity, clip, number, size)


def _metrics(
    owner: str, identity: str, figures: dict[str, float], split: str = "all"
) -> list[dict[str, Any]]:
    own = {"artifact": owner, "identity": identity, "split": split}
    return [{**own, "metric": name, "value": float(value)} for name, value in figures.items()]


def _extracted(identity: str, clip: str, number: int, size: Size) -> Iterator[Commit]:
    """A clip and what is extracted of it: the third of each three looks aside and is out of step."""
    aside = number % 3 == 2
    film = artifact("clip", clip, identity, {}, stage="ingest", raw={"footage": f"{clip}.mp4"}, bytes=5000)
    own = {"id": film.artifact["id"], "identity": identity, "source_name": f"{clip}.mp4"}
    told = {"frames": size.frames, "rate_num": size.rate, "rate_den": 1, "silent": False}
    row = {**own, **told, "duration_s": size.frames / size.rate, "width_px": 640, "height_px": 360}
    yield Commit(film.artifact, film.lineage, [row])
    made = {"clip": film.artifact["id"]}
    for stage in STAGES:
        one = artifact(stage, clip, identity, dict(made), minute=1, bytes=2000)
        made[stage] = one.artifact["id"]
        if stage == "track":
            yield Commit(one.artifact, one.lineage, frames=_frames(film, one, size, aside))
        elif stage == "features":
            yield Commit(one.artifact, one.lineage, metrics=_preflight(one, identity, size, aside))
        else:
            yield one


def _frames(film: Commit, track: Commit, size: Size, aside: bool) -> pa.Table:
    """A head that sways; aside, a quarter of its frames are turned by more than 30 degrees."""
    count, schema = size.frames, TABLES["frames"].schema
    at = np.arange(count)
    yaw = np.where(aside & (at < count // 4), 0.8, 0.1 * np.sin(at / 9))
    columns: dict[str, Any] = {
        "clip": pa.repeat(film.artifact["id"], count),
        "artifact": pa.repeat(track.artifact["id"], count),
        "identity": pa.repeat(film.artifact["identity"], count),
        "frame": at,
        "time_s": at / size.rate,
        "confidence": np.full(count, 0.9),
        "rotation_y_rad": yaw,
    }
    noise = np.random.default_rng(len(film.artifact["id"])).normal(size=count)
    arrays = [pa.array(columns.get(f.name, noise)).cast(f.type, safe=False) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _preflight(features: Commit, identity: str, size: Size, aside: bool) -> list[Row]:
    figures = {
        "offset_frames": 3.0 if aside else 0.2,
        "offset_confidence": 0.9,
        "sound_moved_frames": 3.0 if aside else 0.0,
        "preflight_duration_s": size.frames / size.rate,
        "preflight_face_share": 0.5 if aside else 1.0,
        "preflight_face_px": 140,
        "preflight_mouth_px": 98,
        "preflight_turned_share": 0.25 if aside else 0.0,
        "preflight_sharpness": 0.6,
        "preflight_shots": 1,
        "preflight_voice_share": 0.5,
        "preflight_loudness_lufs": -20,
    }
    return _metrics(features.artifact["id"], identity, figures)


def _checkpoint(identity: str, stage: str, inputs: dict[str, str]) -> Commit:
    parameters = {"method": "memface", "preset": "cpu", "stage": stage, "held_out": 0.2, "config": _CONFIG}
    made = artifact(
        "checkpoint", f"{identity} {stage}", identity, inputs, stage="train", minute=20, parameters=parameters
    )
    owner = made.artifact["id"]
    told = _metrics(owner, identity, {"loss": 0.5, "opening_correlation": 0.8}, "held_out")
    told += _metrics(owner, identity, {f"loss @ {step}": 1.0 for step in range(0, 400, 10)}, "held_out")
    steps = {"training steps": 400, "training best_step": 390, "training seconds": 60.0}
    return Commit(made.artifact, made.lineage, metrics=told + _metrics(owner, identity, steps))


def _dubbed(identity: str, clip: str, number: int, size: Size) -> Iterator[Commit]:
    """Two methods held against the truth, and dubs that nobody judged."""
    dubs = {}
    for method in METHODS:
        for sound in ("", ", wrong sound"):
            dubs[f"{method}{sound}"] = made = _dub(identity, clip, f"{clip}{sound}.wav", method)
            yield made
    yield _evaluation(identity, clip, number, {role: one.artifact["id"] for role, one in dubs.items()})
    for speech in range(size.dubs):
        yield _dub(identity, clip, f"{clip} says {speech}.wav", METHODS[speech % 2], minute=40)


def _dub(identity: str, clip: str, speech: str, method: str, minute: int = 30) -> Commit:
    inputs = {
        "template": name_of("clip", clip),
        "template features": name_of("features", clip),
        "memory": name_of("memory", identity),
    }
    if method == "memface":
        stages = ("expression", "frame")
        inputs |= {f"checkpoint {one}": name_of("checkpoint", f"{identity} {one}") for one in stages}
    told = {"parameters": {"method": method, "preset": "cpu", "config": _CONFIG}, "raw": {"speech": speech}}
    made = artifact("dub", f"{speech} {method}", identity, inputs, minute=minute, bytes=9000, **told)
    figures = {"dub_frames": 50, "dub_speech_s": 2.0, "dub_untouched_share": 0.1, "dub_template_turns": 1}
    film = {
        "child": sha256(f"{speech} {method} film"),
        "parent": made.artifact["id"],
        "role": "exported as mp4",
    }
    return Commit(
        made.artifact, [*made.lineage, film], metrics=_metrics(made.artifact["id"], identity, figures)
    )


def _evaluation(identity: str, clip: str, number: int, dubs: dict[str, str]) -> Commit:
    """MemFace opens lips better, and the memory alone has the better pixels."""
    inputs = {"truth": name_of("clip", clip), **dubs}
    made = artifact("evaluation", clip, identity, inputs, stage="evaluate", minute=50)
    figures = {}
    for method, opening, psnr in (("nearest", 0.4, 31.0), ("memface", 0.8 + number / 100, 29.0)):
        told = {"opening": opening, "psnr_db": psnr, "late_frames": -2.0 if method == "nearest" else 0.0}
        figures |= {f"{method} {name}": value for name, value in told.items()}
    told_of = _metrics(made.artifact["id"], identity, figures, "held_out")
    return Commit(made.artifact, made.lineage, metrics=told_of)
