"""What lies in raw/: which files, whether they are as they were, and which are still being copied.

    seen = look(home, "anna")
    for change in compare(seen, ledger.sources("anna")): ...

A file with the size, time and number that the ledger knows is the file that the ledger knows; any other is
read. Called by `flows.refresh` and `flows.planning`. Nothing of a person is opened here without the caller
having asked for consent first.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import fsspec

from storage.artifacts import workspace_of
from storage.errors import HomeError
from storage.home import Home
from storage.text import printable
from tasks.raw import SPEECH, is_footage, is_video

__all__ = ["Change", "Look", "Seen", "compare", "folders", "local_copy", "look", "row_of", "unsettled"]

# What browsers, downloaders and copying tools add to a name until they are done.
UNFINISHED = frozenset(
    {".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".aria2", ".ytdl"}
    | {".tmp", ".temp", ".!qb", ".!ut", ".inprogress"}
)
# rsync writes `.name.mp4.Ab3xYz` and renames it.
RSYNC = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]{6}")
# A change within so short a time of reading may have the same size and time: such a file is read again.
RACY_NS = 2_000_000_000
# Between two looks at a file that was changed a moment ago.
APART_S = 1.0
YOUNG_S = 3.0

Kind = Literal["new", "changed", "same", "gone"]


@dataclass(frozen=True)
class Seen:
    """A file as one look found it."""

    path: str  # relative to raw/<identity>
    where: str  # a path on this machine, or a URL
    bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def age_s(self) -> float:
        """Since it was last written, renamed or touched; unlike its modification time nobody can set that."""
        return time.time() - self.ctime_ns / 1e9


@dataclass
class Look:
    """All files of one person, and what could not be looked at."""

    identity: str
    files: list[Seen] = field(default_factory=list)
    copying: dict[str, str] = field(default_factory=dict)  # path -> how we know
    unreadable: dict[str, str] = field(default_factory=dict)  # file or folder -> why

    def spares(self, path: str) -> bool:
        """Whether a file that was not seen may be there all the same."""
        under = any(path == one or one == "." or path.startswith(f"{one}/") for one in self.unreadable)
        return under or path in self.copying or any(_meant(name) == path for name in self.copying)


@dataclass(frozen=True)
class Change:
    """A file against what the ledger knows of it."""

    kind: Kind
    path: str
    seen: Seen | None
    known: Mapping[str, Any] | None


def folders(home: Home) -> list[str]:
    """Folders in raw/, and videos that lie there in none; nothing where there is no raw/."""
    if home.is_local:
        try:
            with os.scandir(home.path("raw")) as entries:
                seen = [entry for entry in entries if not entry.name.startswith(".")]
                return sorted(one.name for one in seen if one.is_dir() or is_video(one.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            what = f"cannot be looked at ({error.strerror})"
            raise HomeError(what, where=home.path("raw"), do="check it") from error
    fs, root = fsspec.core.url_to_fs(home.uri("raw"))
    found = fs.ls(root, detail=False) if fs.exists(root) else []
    return sorted(PurePosixPath(name).name for name in found)


def look(home: Home, identity: str) -> Look:
    """Every video in raw/<identity>; opens none of them."""
    found = Look(identity)
    if not home.is_local:
        _look_into_bucket(home, found)
        return found
    root = home.path(f"raw/{identity}")

    def blind(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            where = Path(error.filename or root).relative_to(root).as_posix()
            found.unreadable[printable(where)] = f"cannot be looked at ({error.strerror})"

    for folder, inner, names in os.walk(root, onerror=blind):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if Path(folder) == root and SPEECH in inner:
            inner.remove(SPEECH)
        for name in sorted(names):
            _look_at(home, root, Path(folder) / name, set(names), found)
    return found


def _look_at(home: Home, root: Path, file: Path, beside: set[str], found: Look) -> None:
    path = printable(file.relative_to(root).as_posix())
    rsync = RSYNC.fullmatch(file.name)
    if file.suffix.lower() in UNFINISHED or (rsync and is_video(rsync["name"])):
        found.copying[path] = "its name says that it is not complete"
        return
    if not is_video(file.name) or file.name.startswith("."):
        return
    if any(f"{file.name}{suffix}" in beside for suffix in UNFINISHED):
        found.copying[path] = "what it is made of is still being loaded"
        return
    try:
        if not is_footage(file, root, home, found.identity):
            if file.is_symlink() and not file.exists():
                found.unreadable[path] = "is a link to nothing"
            return
        found.files.append(_seen(path, file))
    except FileNotFoundError:
        pass  # gone since we listed the folder
    except OSError as error:
        found.unreadable[path] = f"cannot be looked at ({error.strerror})"


def _seen(path: str, file: Path) -> Seen:
    stat = file.stat()
    return Seen(path, str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def _look_into_bucket(home: Home, found: Look) -> None:
    fs, root = fsspec.core.url_to_fs(home.uri(f"raw/{found.identity}"))
    fs.invalidate_cache()
    for key, info in sorted(fs.find(root, detail=True).items()):
        path = PurePosixPath(key.removeprefix(root).lstrip("/"))
        hidden = any(part.startswith(".") for part in path.parts)
        if hidden or not is_video(path.name) or (len(path.parts) > 1 and path.parts[0] == SPEECH):
            continue
        when = info.get("LastModified") or info.get("mtime") or 0
        stamp = int((when.timestamp() if isinstance(when, dt.datetime) else float(when)) * 1e9)
        found.files.append(Seen(str(path), fs.unstrip_protocol(key), info["size"], stamp, stamp, 0))


def compare(look: Look, known: Sequence[Mapping[str, Any]], *, trusting: bool = False) -> list[Change]:
    """Every file of either side. What is `changed` may prove the same when it is read.

    `trusting` also believes a size and a time that a change a moment later could have left as they were.
    """
    rows = {row["path"]: row for row in known}
    changes = [_against(seen, rows.get(seen.path), trusting) for seen in look.files]
    there = {seen.path for seen in look.files}
    for path, row in sorted(rows.items()):
        if path not in there and row["state"] != "gone" and not look.spares(path):
            changes.append(Change("gone", path, None, row))
    return changes


def _against(seen: Seen, row: Mapping[str, Any] | None, trusting: bool) -> Change:
    if row is None or row["state"] == "gone":
        return Change("new", seen.path, seen, row)
    as_it_was = (seen.bytes, seen.mtime_ns, seen.inode) == (row["bytes"], row["mtime_ns"], row["inode"])
    read_ns = row["hashed_at"].timestamp() * 1e9
    safe = trusting or read_ns - seen.mtime_ns > RACY_NS
    return Change("same" if as_it_was and safe else "changed", seen.path, seen, row)


def unsettled(
    files: Sequence[Seen], *, pause: Callable[[float], None] = time.sleep, apart: float = APART_S
) -> dict[str, str]:
    """Of these files, those that somebody still writes, and how we know."""
    found = {seen.path: "is open for writing" for seen in files if _is_open(seen.where)}
    rest = [seen for seen in files if seen.path not in found and "://" not in seen.where]
    if any(abs(seen.age_s) < YOUNG_S for seen in rest):
        pause(apart)
    for seen in rest:
        if not is_as(seen):
            found[seen.path] = "changes while we look"
    return found


def is_as(seen: Seen) -> bool:
    """Whether the file is as it was when it was seen."""
    if "://" in seen.where:
        return True  # objects change as a whole, and are read as a whole
    with contextlib.suppress(OSError):
        return _seen(seen.path, Path(seen.where)) == seen
    return False


def _is_open(where: str) -> bool:
    """Whether any process of this machine has it open for writing; False where the kernel cannot tell."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        handle = os.open(where, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Who opens it to write while we hold the lease has the kernel signal us, by SIGIO, which kills.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # another user's file, or a file system without leases
    finally:
        os.close(handle)
    return False


@contextlib.contextmanager
def local_copy(home: Home, seen: Seen) -> Iterator[Path]:
    """The file as a path while it lasts: from a bucket it is copied."""
    if "://" not in seen.where:
        yield Path(seen.where)
        return
    name = PurePosixPath(seen.path).name
    with workspace_of(home, f"raw-{hashlib.sha256(seen.where.encode()).hexdigest()[:12]}") as folder:
        with fsspec.open(seen.where, "rb") as source, (folder / name).open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        yield folder / name


def row_of(
    identity: str,
    seen: Seen,
    sha256: str,
    known: Mapping[str, Any] | None,
    *,
    now: dt.datetime,
    **said: Any,
) -> dict[str, Any]:
    """The ledger's row of a file that was read now; `said` are its state, clip, reason and run."""
    row = {
        "identity": identity,
        "path": seen.path,
        "bytes": seen.bytes,
        "mtime_ns": seen.mtime_ns,
        "inode": seen.inode,
        "sha256": sha256,
        "hashed_at": now,
        "first_seen": known["first_seen"] if known else now,
        "changed_at": now,
        "reason": None,
        **said,
    }
    if known and all(row[name] == known[name] for name in ("state", "sha256", "clip")):
        row["changed_at"] = known["changed_at"]
    return row


def _meant(path: str) -> str:
    """The name that an unfinished file will have."""
    whole = PurePosixPath(path)
    rsync = RSYNC.fullmatch(whole.name)
    return str(whole.with_name(rsync["name"])) if rsync else str(whole.with_suffix(""))
