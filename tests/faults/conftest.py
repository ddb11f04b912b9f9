"""A home whose raw/ has changed in every way, and what an undisturbed refresh makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_refresh_faults import changed_home, command, outcome


@pytest.fixture(scope="session")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed_home(tmp_path_factory.mktemp("changed"))


@pytest.fixture(scope="session")
def undisturbed(changed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = Path(shutil.copytree(changed, tmp_path_factory.mktemp("undisturbed") / "home"))
    process = command(home, "refresh")
    assert process.wait() == 1, process.communicate()  # there is a bad file
    return outcome(home)
