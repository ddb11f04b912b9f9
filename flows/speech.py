"""Speech that waits to be dubbed: `raw/<identity>/speech/`. Called by `flows.deployable`."""

from __future__ import annotations

from pathlib import Path

from storage.errors import MediaError
from storage.home import Home, check_slug

__all__ = ["newest_speech"]

# What a copying program calls a file until all of it is there.
_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart", ".partial")


def newest_speech(home: Home, identity: str) -> Path:
    """The file that was last changed there; MediaError where there is none."""
    folder = home.path(f"raw/{check_slug(identity)}/speech")
    found = [path for path in folder.glob("*") if _counts(path)]
    if not found:
        raise MediaError("no speech to say", where=folder, do="put a sound file there, or name one as audio")
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _counts(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in _UNFINISHED
