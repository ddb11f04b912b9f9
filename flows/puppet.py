"""The flow `puppet`: films a person who does not exist, and ingests the footage like anybody's.

Called by the command line and by `flows.demo`.
"""

from __future__ import annotations

import os
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
from tasks.puppet import film_puppet, footage_of, truth_of

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


def puppet(identity: str, script: Script, *, home: str | None = None, watch: Watch = no_progress) -> Filmed:
    """Film the script as `identity` and ingest it."""
    place = Home(home)
    _claim(place, check_slug(identity), script.seed)
    arguments = {"identity": identity, "seed": script.seed, "text": script.text, "size": script.size}
    ledger, workers = Ledger(place.objects), max(1, min(2, os.cpu_count() or 1))
    with (
        run(ledger, "puppet", identity=identity, arguments=arguments),
        watch(f"filming {identity}", 1, 1) as progress,
    ):
        named = {"name": f"film {identity}", "workers": workers, "progress": progress}
        made = call(film_puppet, place, identity, script, **named)
    video = footage_of(place, made)
    ingested = ingest([video], identity, home=home, watch=watch)
    ingested.raise_if_refused()
    return Filmed(made, ingested.clips[0], str(video), str(truth_of(place, made)))


def _claim(home: Home, identity: str, seed: int) -> None:
    """A puppet may have a name that is free, or a puppet's already; never a real person's."""
    if identity not in consent.identities(home):
        consent.write_synthetic(home, identity, f"Puppet {seed}, made by memdub")
    elif not consent.read(home, identity).synthetic:
        raise ConsentError("this name belongs to a real person", where=identity, do="choose another name")
