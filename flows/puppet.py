"""The flow `puppet`: films a person who does not exist, and ingests the footage like anybody's.

Called by the command line and by `flows.demo`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flows.engine import call
from flows.ingest import Watch, ingest, no_progress
from storage import consent
from storage.artifacts import Artifact
from storage.errors import ConsentError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import run
from tasks.film import Script
from tasks.puppet import check_script, film_puppet, footage_of, truth_of

__all__ = ["Filmed", "puppet"]


@dataclass(frozen=True)
class Filmed:
    """A puppet's footage and the clip of it."""

    puppet: Artifact
    clip: Artifact
    video: str
    truth: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "puppets": [{**self.puppet.as_dict(), "video": self.video, "truth": self.truth}],
            "clips": [self.clip.as_dict()],
        }


def puppet(
    identity: str,
    script: Script,
    *,
    home: str | None = None,
    workers: int | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] | None = None,
) -> Filmed:
    """Film the script as `identity` and ingest it; by two processes, where there are cores for them."""
    place = Home(home)
    place.path("stores")  # films are read where they lie, so a home in a bucket is refused at once
    _claim(place, check_slug(identity), script)
    arguments = {"identity": identity, "seed": script.seed, "text": script.text, "size": script.size}
    workers = workers or max(1, min(2, os.cpu_count() or 1))
    made = _film(place, identity, script, arguments, workers, watch, tell)
    video = footage_of(place, made)
    ingested = ingest([video], identity, home=home, watch=watch, tell=tell)
    ingested.raise_if_refused()
    return Filmed(made, ingested.clips[0], str(video), str(truth_of(place, made)))


def _film(
    home: Home,
    identity: str,
    script: Script,
    arguments: dict[str, Any],
    workers: int,
    watch: Watch,
    tell: Callable[[str], None] | None,
) -> Artifact:
    def waiting(holder: str) -> None:
        if tell is not None:
            tell(f"waiting for {holder}, which films this puppet")

    with (
        run(Ledger(home.objects), "puppet", identity=identity, arguments=arguments),
        watch(f"filming {identity}", 1, 1) as progress,
    ):
        named = {"name": f"film {identity}", "workers": workers, "progress": progress, "waiting": waiting}
        return call(film_puppet, home, identity, script, **named)


def _claim(home: Home, identity: str, script: Script) -> None:
    """A puppet may have a name that is free, or a puppet's already; never a real person's."""
    if identity in consent.identities(home):
        if not consent.read(home, identity).synthetic:
            raise ConsentError("this name belongs to a real person", where=identity, do="choose another name")
        consent.require(home, identity, "ingest")
        return
    # A script that cannot be filmed must not take a name that a person may want.
    check_script(script)
    consent.write_synthetic(home, identity, f"Puppet {script.seed}, made by memdub")
