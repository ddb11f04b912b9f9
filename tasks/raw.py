"""Which files in a folder are footage, by where they lie and how they are called; none is opened.

Called by `tasks.footage` and `tasks.sources`.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from storage.home import Home

__all__ = ["SPEECH", "is_footage", "is_video"]

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".flv", ".3gp", ".ogv"}
)
# What a home holds besides footage: `ingest .` beside the default home must not take our own clips.
ROOMS = frozenset({"identities", "ledger", "out", "stores", "weights"})
# Folder in raw/<identity> with what the person is to say.
SPEECH = "speech"


def is_video(name: str) -> bool:
    """Whether a file of this name is a video."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_footage(path: Path, folder: Path, home: Home, identity: str) -> bool:
    """Whether a file that lies somewhere in a folder is a video that may be this person's."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    if hidden or not is_video(path.name) or not path.is_file():
        return False
    root, where = home.path(".") if home.is_local else None, path.resolve()
    if root is None or not where.is_relative_to(root):
        return True
    room, *inner = where.relative_to(root).parts
    if room == "raw" and len(inner) > 1:
        # In `speech` lies what the person is to say: whoever is seen there need not be them.
        return inner[0] == identity and (len(inner) == 2 or inner[1] != SPEECH)
    return room not in ROOMS
