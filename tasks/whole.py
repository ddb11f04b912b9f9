"""A whole clip in one task: for workers that share nothing with us but the bucket where the home is.

The worker takes the clip's file from the bucket, runs every stage in its own scratch folder by plain calls
(`tasks.team.Alone`), and publishes each as it is finished: the same artifacts, byte for byte, as stages
in blocks make. Who goes on with the clip of a lost worker finds its finished stages.

Called by `flows.extracting`.
"""

from __future__ import annotations

import functools
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from storage.artifacts import Artifact
from storage.errors import MemdubError, RequestError, WorkError
from storage.home import Home, Settings
from storage.ledger import Commit, Ledger
from storage.runs import elsewhere
from tasks.chain import Chain, ExtractOptions, Ingredients, said_of
from tasks.extract import Job, extract_clip, video_of
from tasks.team import Alone, report_step
from tasks.team.workers import ours

__all__ = ["Extracted", "Order", "extract_whole"]

# A network that fails for longer than these pauses is a failure; finished stages are found meanwhile.
PAUSES = (2.0, 10.0, 30.0)


@dataclass(frozen=True)
class Order:
    """What a worker must know to extract one clip; small, and it pickles."""

    home: str
    settings: Settings
    clip: Artifact
    row: Mapping[str, Any]  # the clip's line in the ledger's `clips`
    options: ExtractOptions
    features: str  # the artifact that is wanted: other code or other files would make another
    memdub: str
    run: tuple[str, str | None] | None  # our run, and Prefect's
    topics: Mapping[str, str] = field(default_factory=dict)  # where frames of each stage are reported
    posting: bool = True  # commits are left for us to gather


@dataclass(frozen=True)
class Extracted:
    """What became of it."""

    features: Artifact
    said: Mapping[str, Any]
    made: tuple[str, ...]
    reused: tuple[str, ...]
    commits: tuple[Commit, ...]
    seconds: float
    host: str


def extract_whole(order: Order) -> Extracted | MemdubError:
    """Every stage of one clip, here and now; what the network breaks is tried again.

    What refuses the clip is returned, not raised: nothing of Dask's went wrong.
    """
    for pause in (*PAUSES, None):
        try:
            return _extract(order)
        except (MemdubError, OSError) as error:
            if pause is None or not _passes(error):
                return ours(error)
            time.sleep(pause)
    raise AssertionError("the last attempt returns")


def _passes(error: Exception) -> bool:
    """Whether a network or a disk is to blame, also where a stage has made an error of ours of it."""
    ailed = error.__cause__ if isinstance(error, WorkError) else error
    return isinstance(ailed, OSError)


def _extract(order: Order) -> Extracted:
    begun = time.perf_counter()
    home = _home(order.home, order.settings, order.posting)
    ingredients = _ingredients(home, order)
    chain = Chain.of(order.clip.id, ingredients)
    if chain.features.id != order.features:
        # Weights may have been put there since this worker looked first.
        _gathered.cache_clear()
        ingredients = _ingredients(home, order)
        chain = Chain.of(order.clip.id, ingredients)
    if chain.features.id != order.features:
        what = f"worker {socket.gethostname()} has other models than this machine"
        raise RequestError(what, where=order.clip.id, do="install the same memdub, with the same weights")

    def step(stage: str, frames: int) -> None:
        if topic := order.topics.get(stage):
            report_step(topic, frames)

    try:
        with elsewhere(order.run) as run, video_of(home, order.clip) as video:
            job = Job(home, order.clip, video, order.row, ingredients, chain, Alone(), step=step)
            features = extract_clip(job)
        said = said_of(home, features)
    finally:
        home.forget()
    posted, seconds = Ledger(home.objects).take_posted(), time.perf_counter() - begun
    made, reused = tuple(run.made), tuple(run.reused)
    return Extracted(features, said, made, reused, tuple(posted), seconds, socket.gethostname())


def _home(url: str, settings: Settings, posting: bool) -> Home:
    return _known_home(url, settings.model_dump_json(), posting, _scratch())


@functools.lru_cache(maxsize=4)
def _known_home(url: str, settings: str, posting: bool, scratch: Path | None) -> Home:
    """One connection to the bucket serves all clips of a worker."""
    return Home(url, Settings(**json.loads(settings)), posting=posting, scratch=scratch)


def _scratch() -> Path | None:
    """The worker's own folder, which Dask removes with the worker."""
    from distributed import get_worker

    try:
        return Path(get_worker().local_directory)
    except ValueError:  # no worker: called directly
        return None


@functools.lru_cache(maxsize=4)
def _gathered(home: Home, options: ExtractOptions) -> Ingredients:
    return Ingredients.gather(home, options)


def _ingredients(home: Home, order: Order) -> Ingredients:
    if version("memdub") != order.memdub:
        what = f"worker {socket.gethostname()} has memdub {version('memdub')}, this is {order.memdub}"
        raise RequestError(what, where=order.clip.id, do="install the same memdub there")
    return _gathered(home, order.options)
