"""A puppet's footage as an artifact: filmed once for a script, with its truth beside it.

Called by `flows.puppet`. The footage is then ingested like anybody's; since the ledger also says which
file the artifact holds, the clip's lineage goes on to the puppet.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.puppet.texts import language_text
from storage.artifacts import Artifact, Made, produce
from storage.errors import RequestError
from storage.home import Home
from storage.recipes import Recipe, hash_file
from storage.text import check_text
from tasks.film import Film, Progress, Script, film, rehearse, spelt, truth_beside

__all__ = ["FOOTAGE", "check_script", "film_puppet", "footage_of", "text_in", "truth_of"]

STAGE = "film"
STAGE_VERSION = 1
FOOTAGE = "footage.mp4"


def film_puppet(
    home: Home,
    identity: str,
    script: Script,
    *,
    workers: int = 2,
    progress: Progress | None = None,
    waiting: Callable[[str], None] | None = None,
) -> Artifact:
    """The footage of `script`, filmed unless it is there already."""
    recipe = Recipe("puppet", STAGE, STAGE_VERSION, {"identity": identity, **spelt(script)})

    def make(workspace: Path) -> Made:
        made: Film = film(script, workspace / FOOTAGE, progress=progress, workers=workers)
        held = f"sha256:{hash_file(made.video)}"
        return Made(lineage=[{"child": held, "parent": recipe.id, "role": "filmed", "parent_name": None}])

    return produce(home, recipe, make, identity=identity, waiting=waiting)


def check_script(script: Script) -> None:
    """Raises RequestError if the script cannot be filmed; takes as long as speaking it."""
    check_text(script.text, "text")
    check_text(script.language, "language")
    rehearse(script)


def footage_of(home: Home, puppet: Artifact) -> Path:
    """The video file."""
    return home.path(puppet.uri) / FOOTAGE


def truth_of(home: Home, puppet: Artifact) -> Path:
    """The truth of its every frame, as Parquet."""
    return truth_beside(footage_of(home, puppet))


def text_in(language: str) -> str:
    """A paragraph of ours in that language, for whoever just needs something said."""
    try:
        return language_text(language)
    except ValueError as error:
        raise RequestError(str(error), where=f"language {language}", do="give a text of your own") from error
