"""One address for a folder and for any fsspec URL: zarr stores, listings and small files under it.

Private to `clips`. A place pickles, so that it can be handed to workers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import fsspec
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from storage.errors import RequestError

__all__ = ["Place"]

_LOCAL = ("file://", "local://")


@dataclass(frozen=True)
class Place:
    """A folder of a store: a local path, or a URL with the options its file system takes."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, url: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Place:
        """The place at a path or URL, without a slash at its end."""
        text = os.fspath(url).rstrip("/")
        for scheme in _LOCAL:
            text = text.removeprefix(scheme)
        if not text:
            raise RequestError("an empty address for a clip", do="give a path or a URL")
        return cls(text if "://" in text else str(Path(text).absolute()), dict(options or {}))

    @property
    def local(self) -> Path | None:
        """The path, where this is a folder of this machine."""
        return None if "://" in self.url else Path(self.url)

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def at(self, key: str) -> Place:
        """A place below this one."""
        return Place(f"{self.url}/{key}", self.options)

    def beside(self, name: str) -> Place:
        """A place in the same folder."""
        return Place(f"{self.url.rsplit('/', 1)[0]}/{name}", self.options)

    def store(self, *, read_only: bool) -> Store:
        """A zarr store rooted here."""
        if self.local is not None:
            return LocalStore(self.local, read_only=read_only)
        return FsspecStore.from_url(self.url, dict(self.options), read_only=read_only)

    def files(self) -> set[str]:
        """The keys of everything below, as they are now."""
        if self.local is not None:
            return {
                f"{folder}/{name}"[len(self.url) + 1 :]
                for folder, _, names in os.walk(self.url)
                for name in names
            }
        fs, path = self._remote()
        # Some file systems list from memory, where shards that other processes wrote since are missing.
        fs.invalidate_cache()
        return {str(key)[len(path) :].lstrip("/") for key in fs.find(path)}

    def read(self, key: str) -> bytes | None:
        """The bytes of a small file, or None where there is none."""
        try:
            if self.local is not None:
                return (self.local / key).read_bytes()
            fs, path = self._remote()
            return bytes(fs.cat_file(f"{path}/{key}"))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, key: str, data: bytes) -> None:
        """Put a small file: all of it or nothing."""
        if self.local is None:
            fs, path = self._remote()
            fs.pipe_file(f"{path}/{key}", data)
            return
        target = self.local / key
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f"{target.name}.{os.getpid()}.partial")
        beside.write_bytes(data)
        beside.replace(target)

    def take(self, source: Place) -> None:
        """Have every file below `source` below us too, whatever was here: linked, or copied."""
        self.remove()
        for key in sorted(source.files()):
            if self.local is not None and source.local is not None:
                _link(source.local / key, self.local / key)
            elif self.local is None and source.local is None and self._remote()[0] == source._remote()[0]:
                fs, path = self._remote()
                fs.copy(f"{source._remote()[1]}/{key}", f"{path}/{key}")  # the store copies by itself
            else:
                self.write(key, source.read(key) or b"")

    def delete(self, key: str) -> None:
        """Remove one file, if it is there."""
        if self.local is not None:
            (self.local / key).unlink(missing_ok=True)
            return
        fs, path = self._remote()
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(f"{path}/{key}")

    def remove(self) -> None:
        """Remove everything below."""
        if self.local is not None:
            shutil.rmtree(self.local, ignore_errors=True)
        elif self.files():
            fs, path = self._remote()
            fs.rm(path, recursive=True)

    def _remote(self) -> tuple[fsspec.AbstractFileSystem, str]:
        fs, path = fsspec.core.url_to_fs(self.url, **self.options)
        return fs, cast(str, path).rstrip("/")


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
