"""What every test gets: a home of its own, quiet logs, and the real footage where there is any."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy  # noqa: F401  (its BLAS must be there to be limited)
import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from storage.home import Home

REPOSITORY = Path(__file__).parent.parent

# Tests that run in the background inherit an ignored ctrl-C, and hand it on to the commands that they
# interrupt; a person at a terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)


# A busy machine is no failure, and examples are the same today and tomorrow.
settings.register_profile(
    "same everywhere", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same everywhere")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """A puppet's shared pieces are worked out once a process by whoever asks first: as `tasks` does."""
    with threadpool_limits(1):
        yield


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
