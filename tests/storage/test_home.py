"""What lies among the files of all users is ours alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from storage.errors import HomeError
from storage.home import Home, own_folder


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_bucket_is_worked_on_where_nobody_else_looks(shared: Path) -> None:
    root = Home("s3://bucket/home").workspace_root()
    folder = shared / f"memdub-{os.getuid()}"
    assert folder in root.parents
    assert folder.stat().st_mode & 0o777 == 0o700
    assert Home("s3://bucket/home").workspace_root() == root
    assert Home("s3://other/home").workspace_root() != root


@pytest.mark.parametrize("how", ["link", "file", "another's"])
def test_what_another_laid_there_is_not_used(shared: Path, how: str) -> None:
    path = shared / f"memdub-{os.getuid()}"
    if how == "link":
        (shared / "theirs").mkdir()
        path.symlink_to(shared / "theirs")
    elif how == "file":
        path.write_text("")
    else:
        path.mkdir()
        if os.geteuid() != 0:
            pytest.skip("only root can give a folder away")
        os.chown(path, 12345, 12345)
    with pytest.raises(HomeError, match=rf"{path.name}: .*; remove it, or set TMPDIR elsewhere"):
        own_folder()
