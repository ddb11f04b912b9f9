"""Where a film leaves the stores: the file that was asked for, whole or not at all. Called by `flows.dub`."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import fsspec

from storage.artifacts import Artifact
from storage.errors import MediaError, RequestError
from storage.home import Home
from storage.recipes import hash_file
from storage.text import check_text

__all__ = ["checked_out", "copied", "own_folder"]


def checked_out(out: Path, audio: Path) -> Path:
    check_text(str(out), "--out")
    if out.suffix.lower() != ".mp4":
        raise RequestError("a dub is an MP4 file", where=f"--out {out}", do="give a name that ends in .mp4")
    if out.exists() and not out.is_file():
        raise RequestError("is not a file", where=f"--out {out}", do="name a file")
    if not out.absolute().parent.is_dir():
        do = "name a file in a folder that exists"
        raise RequestError("its folder does not exist", where=f"--out {out}", do=do)
    if out.exists() and out.samefile(audio):
        raise RequestError("would replace the speech itself", where=f"--out {out}", do="choose another name")
    return out


def own_folder(home: Home) -> Path:
    if not home.is_local:
        raise RequestError("a home in a bucket has no folder for it", where="--out", do="name a file with -o")
    return home.path("out")


def copied(home: Home, made: Artifact, target: Path) -> str:
    """The film where it was asked for, whole or not at all; returns its digest."""
    from tasks.dubbing.stage import FILM

    part = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with fsspec.open(home.uri(f"{made.uri}/{FILM}"), "rb") as source, part.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        sha256 = hash_file(part)
        part.replace(target)
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise MediaError(what, where=target, do="name another place with -o") from error
    finally:
        part.unlink(missing_ok=True)
    return sha256
