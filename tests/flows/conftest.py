"""What tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli import main
from tests.helpers.footage import keep_consent


class Shell:
    """Runs `memdub` in this process and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: object) -> int:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        self.out, self.err = self.capsys.readouterr()
        return int(ended.value.code or 0)


@pytest.fixture
def memdub(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a home in it, where anna has consented."""
    keep_consent(tmp_path / "home")
    return tmp_path


def everything_in(home: Path) -> set[str]:
    """Every file but the empty lock files."""
    files = (path for path in home.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(home)) for path in files}


def refused(memdub: Shell, root: Path, *words: object, line: str) -> None:
    """Exit status 2, one line that says `line`, and a home as it was."""
    before = everything_in(root / "home")
    assert memdub("ingest", *words) == 2
    assert memdub.err.count("\n") == 1, memdub.err
    assert line in memdub.err
    assert "Traceback" not in memdub.err
    assert "; " in memdub.err, "the line does not say what to do"
    assert everything_in(root / "home") == before
