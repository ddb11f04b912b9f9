"""A folder of pages that is made again and again: what is written is remembered, the rest is swept out.

Nothing that may no longer be shown stays behind, and no film is copied twice. Private to `flows.site`, and to
the pages that it has written.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec

from storage.errors import MediaError, RequestError
from storage.home import Home

__all__ = ["Shelf"]

_MARK = ".memdub-gallery"
_ABOUT = (
    "Made by `memdub gallery`. Pages, films and pictures in here are replaced or removed by the next one.\n"
)
_OURS = {".html", ".mp4", ".jpg", ".json"}


class Shelf:
    """The folder at `root`: new, empty, or one that was made before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._kept: set[Path] = set()
        try:
            taken = root.exists() and (not root.is_dir() or any(root.iterdir()))
            if taken and not (root / _MARK).is_file():
                do = "name a new or an empty folder"
                raise RequestError("is there, and is no gallery of ours", where=root, do=do)
            root.mkdir(parents=True, exist_ok=True)
            (root / _MARK).write_text(_ABOUT, encoding="utf-8")
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise RequestError(what, where=root, do="name another folder") from error

    def write(self, name: str, text: str) -> Path:
        """A page at this place below the root."""
        path = self._at(name)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise _unwritable(path, error) from error
        return path

    def copy(self, home: Home, key: str, name: str) -> bool:
        """A file of the stores; one of its size that is there already is it. Whether there is such a file."""
        size = home.objects.size(key)
        if size <= 0:
            return False
        path = self._at(name)
        if path.is_file() and path.stat().st_size == size:
            return True
        part = path.with_name(f".{path.name}.part")
        try:
            with fsspec.open(home.uri(key), "rb") as source, part.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            part.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from error
        finally:
            part.unlink(missing_ok=True)
        return True

    def keep(self, folder: Path) -> None:
        """All that lies in this folder was written just now, by somebody else."""
        self._kept |= {path for path in folder.rglob("*") if path.is_file()}

    def sweep(self) -> None:
        """Remove what an earlier gallery had and this one has not."""
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            elif path.is_file() and path.suffix in _OURS and path not in self._kept:
                path.unlink()

    def _at(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._kept.add(path)
        return path


def _unwritable(path: Path, error: OSError) -> MediaError:
    return MediaError(f"cannot be written ({error.strerror})", where=path, do="name another place")
