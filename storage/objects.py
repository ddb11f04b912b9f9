"""Small objects that many processes change at once: the one primitive under ledger and leases.

`write_if` replaces an object only if it is still the version that was read. Locally the compare runs
under a kernel lock that dies with its process, and the change is one rename; on S3 the server compares
the ETag (If-Match, If-None-Match). Called by the other rooms of `storage` only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from storage.errors import HomeError, NoSpace

__all__ = ["TEMPORARY", "LocalObjects", "Objects", "S3Objects", "Version", "open_objects", "sync"]

Version = str
# Files that are being written, under the lock of their folder.
TEMPORARY = ".tmp-"
# What S3 answers when the object is another version, or when two conditional writes meet.
LOST_RACES = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class Objects(ABC):
    """Bytes by key under one root, with conditional replacement."""

    @cached_property
    def memory(self) -> dict[str, Any]:
        """What those who read here keep between two looks; it does not travel to other processes."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "memory"}

    @abstractmethod
    def uri(self, key: str) -> str: ...

    @abstractmethod
    def read(self, key: str) -> tuple[bytes, Version] | None:
        """The bytes and their version; None where there is no such object."""

    @abstractmethod
    def versions(self, prefix: str) -> dict[str, Version]:
        """Every object at or below the folder `prefix`, by key; hidden names are left out."""

    @abstractmethod
    def size(self, key: str) -> int:
        """How many bytes; 0 where there is no such object."""

    @abstractmethod
    def write_if(self, key: str, data: bytes, version: Version | None) -> bool:
        """Replace the object if it is still `version` (None: if absent). Call inside `exclusive`."""

    @abstractmethod
    def delete_if(self, key: str, version: Version) -> bool:
        """Delete the object if it is still `version`. Call inside `exclusive`."""

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> None:
        """Delete these objects, whatever their versions; those that are not there are gone already."""

    @abstractmethod
    def exclusive(self, folder: str) -> contextlib.AbstractContextManager[None]:
        """Keeps other local processes out of `folder`, to spare them lost attempts."""


class LocalObjects(Objects):
    """A folder on this machine, or on a file system that all machines mount."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def uri(self, key: str) -> str:
        return str(self.root / key)

    def read(self, key: str) -> tuple[bytes, Version] | None:
        try:
            with (self.root / key).open("rb") as file:
                return file.read(), _stamp(os.fstat(file.fileno()))
        except FileNotFoundError:
            return None

    def versions(self, prefix: str) -> dict[str, Version]:
        found: dict[str, Version] = {}
        for folder, folders, names in os.walk(self.root / prefix):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if name.startswith("."):
                    continue
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):
                    found[str(path.relative_to(self.root))] = _stamp(path.stat())
        return found

    def size(self, key: str) -> int:
        try:
            return (self.root / key).stat().st_size
        except FileNotFoundError:
            return 0

    def write_if(self, key: str, data: bytes, version: Version | None) -> bool:
        path = self.root / key
        if self._version(path) != version:
            return False
        temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            _write_durably(temporary, data)
            temporary.replace(path)
            sync(path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _full(error, path, len(data)) from error
        return True

    def delete_if(self, key: str, version: Version) -> bool:
        path = self.root / key
        if self._version(path) != version:
            return False
        path.unlink(missing_ok=True)
        return True

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            (self.root / key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def exclusive(self, folder: str) -> Iterator[None]:
        path = self.root / folder / ".lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("ab")
        except OSError as error:
            raise _full(error, path, 0) from error
        with lock:
            # The kernel lets go when the holder dies: no lock can stay behind.
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @staticmethod
    def _version(path: Path) -> Version | None:
        try:
            return _stamp(path.stat())
        except FileNotFoundError:
            return None


class S3Objects(Objects):
    """A bucket of any S3-compatible server that honours conditional writes."""

    def __init__(self, url: str) -> None:
        from storage.s3 import S3FileSystem

        self.url = url.rstrip("/")
        self._root = self.url.removeprefix("s3://")
        self._fs: Any = S3FileSystem(use_listings_cache=False)

    def uri(self, key: str) -> str:
        return f"{self.url}/{key}"

    def read(self, key: str) -> tuple[bytes, Version] | None:
        bucket, _, name = f"{self._root}/{key}".partition("/")
        try:
            answer = self._fs.call_s3("get_object", Bucket=bucket, Key=name)
        except FileNotFoundError:
            return None
        return _body(self._fs, answer), answer["ETag"]

    def versions(self, prefix: str) -> dict[str, Version]:
        bucket, _, name = f"{self._root}/{prefix}/".partition("/")
        found: dict[str, Version] = {}
        more: dict[str, str] = {}
        while True:
            page = self._fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=name, **more)
            for entry in page.get("Contents", ()):
                found[f"{prefix}/{entry['Key'].removeprefix(name)}"] = entry["ETag"]
            if not page.get("IsTruncated"):
                return {key: tag for key, tag in found.items() if not _is_hidden(key, prefix)}
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def size(self, key: str) -> int:
        try:
            return int(self._fs.info(f"{self._root}/{key}", refresh=True)["size"])
        except FileNotFoundError:
            return 0

    def write_if(self, key: str, data: bytes, version: Version | None) -> bool:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        if self._put(key, data, **condition):
            return True
        # The first answer may have been lost on its way: sent again, our own write stands against us.
        held = self.read(key)
        return held is not None and held[0] == data

    def delete_if(self, key: str, version: Version) -> bool:
        # Deletes are not conditional on every server; leases expire, so a rare extra delete is harmless.
        held = self.read(key)
        if held is None or held[1] != version:
            return False
        self._fs.rm_file(f"{self._root}/{key}")
        return True

    def delete(self, keys: Sequence[str]) -> None:
        bucket, _, root = self._root.partition("/")
        for start in range(0, len(keys), 1000):  # so many in one request
            names = [{"Key": f"{root}/{key}" if root else key} for key in keys[start : start + 1000]]
            told = self._fs.call_s3("delete_objects", Bucket=bucket, Delete={"Objects": names, "Quiet": True})
            # The request went well; what became of each key is in its answer.
            for kept in told.get("Errors", ()):
                what = f"cannot be deleted ({kept.get('Message') or kept.get('Code')})"
                raise OSError(errno.EIO, what, f"s3://{bucket}/{kept.get('Key')}")

    def exclusive(self, folder: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def _put(self, key: str, data: bytes, **condition: str) -> bool:
        bucket, _, name = f"{self._root}/{key}".partition("/")
        try:
            self._fs.call_s3("put_object", Bucket=bucket, Key=name, Body=data, **condition)
        except (FileExistsError, FileNotFoundError):
            return False  # another writer was first, or the object went away
        except OSError as error:
            answer = getattr(error.__cause__, "response", {})
            if answer.get("Error", {}).get("Code") in LOST_RACES:
                return False
            raise
        return True


def open_objects(url: str) -> Objects:
    """The objects under `url`: a folder or s3://bucket/prefix."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        return LocalObjects(Path(rest if separator else url).expanduser().resolve())
    if scheme == "s3":
        return S3Objects(url)
    raise HomeError(
        f"{scheme}:// has no conditional writes that memdub knows",
        where=url,
        do="use a folder or s3://bucket/prefix",
    )


def _is_hidden(key: str, prefix: str) -> bool:
    return any(part.startswith(".") for part in key.removeprefix(prefix).split("/"))


def _stamp(stat: os.stat_result) -> Version:
    return f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"


def _write_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Have the disk hold a file's bytes, or a folder's names: a power cut must not bring the old back."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _full(error: OSError, path: Path, needed: int) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"no room for {needed} bytes", where=path, do="free some space and run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return HomeError(f"cannot be written ({error.strerror})", where=path, do="set MEMDUB_HOME elsewhere")
    return error


def _body(fs: Any, answer: Any) -> bytes:
    import fsspec.asyn

    from storage.s3 import as_os_errors

    async def read() -> bytes:
        async with answer["Body"] as stream:
            return bytes(await stream.read())

    with as_os_errors():
        return bytes(fsspec.asyn.sync(fs.loop, read))
