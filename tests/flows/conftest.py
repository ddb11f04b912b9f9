"""What tests of the command line share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main
from flows.ingest import ingest
from tasks import sources
from tasks.film import Script
from tasks.film import film as film_puppet
from tests.helpers.footage import film, keep_consent
from tests.helpers.painted import wav
from tests.helpers.raw_home import Extraction
from tests.helpers.serving import Serving, serving


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


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A real `memdub serve` of a home with a puppet, anna, and some speech for her."""
    folder = tmp_path_factory.mktemp("serve")
    home = folder / "home"
    keep_consent(home, scope='["ingest", "train", "dub"]')
    text = "Puppets speak of many things in the morning, and again at night."
    script = Script(seed=3, size=128, text=text, supersample=1)
    ingest([film_puppet(script, folder / "talker.mp4").video], "anna", home=str(home))
    (home / "raw/anna/speech").mkdir(parents=True)
    wav(home / "raw/anna/speech/older.wav", 0.5)
    os.utime(home / "raw/anna/speech/older.wav", (1, 1))
    wav(home / "raw/anna/speech/good morning.wav", 1.0)
    with serving(folder, home, "--cron", "30 4 * * *", "--timezone", "Europe/Berlin") as one:
        yield one


@pytest.fixture(scope="session")
def dubbed_run(served: Serving) -> dict[str, Any]:
    """A run of dub/anna that was asked for without naming a speech."""
    return served.run("dub/anna", preset="smoke")


@pytest.fixture
def extraction(monkeypatch: pytest.MonkeyPatch) -> Extraction:
    """Refreshes that need not wait for files to settle, and extraction without its seconds."""
    monkeypatch.setenv("MEMDUB_SETTLE_SECONDS", "0")
    monkeypatch.setitem(sources.unsettled.__kwdefaults__, "apart", 0.0)
    quick = Extraction()
    monkeypatch.setattr("flows.extract.extract", quick)
    return quick


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number in range(7):
        film(folder / f"{number}.mp4", seed=number, seconds=1.2)
    return folder


@pytest.fixture
def raw(root: Path, films: Path) -> Path:
    """anna's folder, with seven films."""
    return Path(shutil.copytree(films, root / "home" / "raw" / "anna"))
