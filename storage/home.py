"""The home: one place under which everything lives, and the settings that the environment gives.

    raw/<identity>/*.mp4        what a refresh looks at
    identities/<slug>/          consent records
    stores/<kind>/<id>/         media and Zarr, by artifact id
    ledger/<table>/             Parquet that anyone may read
    out/                        dubs and reports
    weights/                    weights the user gave
    keys/                       who signs this home's dubs
    .leases/ .work/             leases, and work that is not committed yet

Called by `tasks` and `flows`, and by the rooms beside it. A home is a local folder or an object store.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from functools import cached_property
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.errors import HomeError, RequestError
from storage.objects import LocalObjects, Objects, open_objects
from storage.text import check_text

__all__ = ["SLUG", "Home", "Settings", "check_slug", "current_settings", "own_folder"]

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Settings(BaseSettings):
    """Every number that a deployment may change; each is read from MEMDUB_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="MEMDUB_", extra="ignore", env_ignore_empty=True)

    home: str = "./data"
    max_video_bytes: int = Field(default=20 * 2**30, gt=0)
    min_seconds: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    min_side: int = Field(default=64, ge=16)
    # A holder beats three times in this span; who sees no beat for all of it takes the work over.
    lease_seconds: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    # A younger file in raw/ that cannot be read is still being copied; an older one is bad.
    settle_seconds: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    # A decoder that gets no further for so long hangs; a large file is given more.
    stall_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    # Where OpenLineage events go: file:/path or http://host:port. Empty: nowhere.
    openlineage: str = ""
    # Who signs dubs: PEM files of a certificate with its chain, and of its key. Empty: the home's own.
    c2pa_certificate: str = ""
    c2pa_key: str = ""


class Home:
    """Where things lie under one root URL."""

    def __init__(
        self,
        url: str | Path | None = None,
        settings: Settings | None = None,
        *,
        posting: bool = False,
        scratch: Path | None = None,
    ) -> None:
        self.settings = settings or current_settings()
        # Whether commits are left for another process to gather: where a thousand commit at once.
        self.posting = posting
        # Where a home in a bucket is worked on; the user's own temporary folder, if not told.
        self._scratch = scratch
        self.url = check_text(str(url or self.settings.home), "MEMDUB_HOME")

    @cached_property
    def objects(self) -> Objects:
        objects = open_objects(self.url)
        if isinstance(objects, LocalObjects):
            _check_folder(objects.root)
        return objects

    @property
    def is_local(self) -> bool:
        return isinstance(self.objects, LocalObjects)

    def uri(self, key: str) -> str:
        """Where `key` lies: a path on this machine, or a URL."""
        return self.objects.uri(key)

    def path(self, key: str) -> Path:
        """The local path of `key`; an object store has none."""
        if isinstance(self.objects, LocalObjects):
            return self.objects.root / key
        raise HomeError(
            "this step needs a local folder",
            where=self.url,
            do="set MEMDUB_HOME to a folder for it",
        )

    def workspace_root(self) -> Path:
        """Where uncommitted work is written: beside the stores, so that publishing is one rename."""
        if self.is_local:
            root = self.path(".work")
        else:
            # Two buckets may be worked on from one machine: each has a folder of its own.
            own = hashlib.sha256(self.url.encode()).hexdigest()[:12]
            root = (self._scratch or own_folder()) / "memdub-work" / own
        root.mkdir(parents=True, exist_ok=True)
        return root

    def keep(self, key: str, folder: Path) -> None:
        """Keep the files that were just published at `key` near, for who reads them next, until `forget`."""
        if self.posting:
            kept = self._kept / key
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(kept)

    def near(self, key: str) -> str:
        """Where `key` is read best: what was kept, or else where it lies."""
        return str(self._kept / key) if self.posting and (self._kept / key).exists() else self.uri(key)

    def kept_files(self) -> dict[int, str]:
        """The key of every file that was kept, by its inode: what links to one has the same bytes."""
        files = (path for path in self._kept.rglob("*") if self.posting and path.is_file())
        return {path.stat().st_ino: str(path.relative_to(self._kept)) for path in files}

    def forget(self) -> None:
        """Remove what was kept."""
        shutil.rmtree(self._kept, ignore_errors=True)

    @property
    def _kept(self) -> Path:
        return self.workspace_root() / "kept"


def own_folder() -> Path:
    """This user's own folder among the system's temporary files; HomeError where another has taken its place.

    All users share that place, and whoever is first there could lay out what is ours, or read it.
    """
    folder = Path(tempfile.gettempdir()) / f"memdub-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        told = folder.lstat()
    except OSError as error:
        what = f"cannot be made ({error.strerror})"
        raise HomeError(what, where=folder, do="remove it, or set TMPDIR elsewhere") from error
    if not stat.S_ISDIR(told.st_mode) or told.st_uid != os.getuid():
        raise HomeError("belongs to somebody else", where=folder, do="remove it, or set TMPDIR elsewhere")
    return folder


def current_settings() -> Settings:
    """What the environment says now; RequestError where it says nonsense."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        name = f"MEMDUB_{str(wrong['loc'][0]).upper()}"
        what = f"{wrong['input']!r} is not usable: {wrong['msg']}"
        raise RequestError(what, where=name, do=f"correct or unset {name}") from error


def _check_folder(root: Path) -> None:
    """Raises HomeError where there is something else than a folder, or no way to it."""
    try:
        nearest = next(path for path in (root, *root.parents) if path.exists())
        usable = nearest.is_dir()
    except OSError as error:
        what = f"cannot be looked at ({error.strerror})"
        raise HomeError(what, where=root, do="set MEMDUB_HOME elsewhere") from error
    if not usable:
        raise HomeError("not a folder", where=nearest, do="set MEMDUB_HOME to a folder")


def check_slug(identity: str) -> str:
    """The identity itself, if it is a legal slug: anything else could leave its folder."""
    if SLUG.fullmatch(identity):
        return identity
    raise RequestError(
        "not a name for an identity",
        where=repr(identity),
        do="use 1 to 63 of a-z, 0-9, '_' and '-', beginning with a letter or digit",
    )
