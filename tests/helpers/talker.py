"""A home where a made-up person has one clip that was really extracted, in seconds."""

from __future__ import annotations

from pathlib import Path

from flows.extract import extract
from flows.ingest import ingest
from tasks.film import Script, film
from tests.helpers.footage import keep_consent

__all__ = ["talker_home"]


def talker_home(folder: Path) -> Path:
    """The home; its footage lies in raw/anna/talk.mp4."""
    home = folder / "home"
    script = Script(seed=1, size=192, text="Peter Piper picked a peck.", supersample=1)
    made = film(script, folder / "talk.mp4").video
    keep_consent(home)
    raw = home / "raw" / "anna"
    raw.mkdir(parents=True)
    video = made.rename(raw / "talk.mp4")
    ingest([video], "anna", home=str(home)).raise_if_refused()
    extract(["anna"], home=str(home), workers=0).raise_if_refused()
    return home
