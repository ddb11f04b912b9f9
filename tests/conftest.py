"""What every test gets: a home of its own, quiet logs, and the real footage where there is any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.home import Home

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may touch the user's home."""
    monkeypatch.setenv("MEMDUB_HOME", str(tmp_path / "home"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def footage() -> Path:
    """Folder of real videos and sounds, which are not part of the project."""
    folder = Path(os.environ.get("MEMDUB_FOOTAGE", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "video").is_dir():
        pytest.skip(f"no real footage in {folder}: set MEMDUB_FOOTAGE to a folder with video/ and audio/")
    return folder
