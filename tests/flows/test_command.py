"""The command as a whole: settings, homes that are none, standard output that fails, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.home import Home
from tests.flows.conftest import Shell
from tests.helpers.footage import film

CLI = [sys.executable, "-m", "flows.cli"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_VIDEO_BYTES", "abc"), ("MIN_SECONDS", "inf"), ("LEASE_SECONDS", "0"), ("MIN_SIDE", "1")],
)
@pytest.mark.parametrize("command", ["status", "gc"])
def test_a_wrong_setting_is_named(
    memdub: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str, command: str
) -> None:
    monkeypatch.setenv(f"MEMDUB_{name}", value)
    assert memdub(command) == 2
    assert memdub.err.startswith(f"memdub: MEMDUB_{name}: '{value}' is not usable")
    assert memdub.err.count("\n") == 1


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDUB_HOME", "")
    monkeypatch.setenv("MEMDUB_MIN_SIDE", "")
    assert (Home().url, Home().settings.min_side) == ("./data", 64)


def test_a_home_whose_name_is_no_text(memdub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDUB_HOME", f"{tmp_path}/caf\udce9")
    assert memdub("status") == 2
    assert "MEMDUB_HOME: not UTF-8 text" in memdub.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "/deep/home"])
@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["gc"],
        ["query", "select 1"],
        ["lineage", "clip-"],
        ["demo"],
        ["puppet", "hans"],
        ["ingest", "a.mp4", "--identity", "anna"],
    ],
)
def test_a_home_that_is_a_file(
    memdub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], below: str
) -> None:
    (tmp_path / "file").write_text("no home")
    monkeypatch.setenv("MEMDUB_HOME", f"{tmp_path}/file{below}")
    assert memdub(*words) == 2
    assert "file: not a folder; set MEMDUB_HOME" in memdub.err
    assert memdub.err.count("\n") == 1


def test_no_words_show_the_help(memdub: Shell) -> None:
    assert memdub() == 0
    assert memdub.out.startswith("Usage: memdub")
    assert memdub.err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["--help"], ["lineage", "x", "--json"]])
def test_standard_output_that_is_full(root: Path, words: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([*CLI, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == (2 if "x" in words else 1)
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("memdub: ")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([*CLI, *words], stdout=full, stderr=full, check=False)
    assert done.returncode in (1, 2)


def test_a_terminal_that_cannot_show_a_letter(root: Path) -> None:
    video = film(root / "é → ü.mp4")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [*CLI, "ingest", video, "--identity", "anna"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "é ? ü.mp4" in done.stdout.decode("latin-1")


# Runs a question that would take for ever, and signals itself when DuckDB is at it.
ENDLESS = """
import os, signal, sys, threading
# A test run under nohup inherits an ignored SIGHUP; a person at a terminal does not.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
import flows.cli.query as query
from flows.cli import main
real = query._answer
def answer(*arguments):
    threading.Timer(0.3, os.kill, (os.getpid(), int(sys.argv.pop(1)))).start()
    return real(*arguments)
query._answer = answer
main(["query", "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = -1"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_long_question_can_be_interrupted(root: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", ENDLESS, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130, done.stderr
    # The empty line keeps ours apart from the ^C of a terminal.
    assert done.stderr.strip().startswith("memdub: interrupted")
    assert done.stderr.strip().count("\n") == 0, done.stderr


@pytest.mark.parametrize("sql", [";", "-- nothing", "create table x as select 1", "set threads = 1"])
def test_what_is_no_question(memdub: Shell, sql: str) -> None:
    assert memdub("query", sql) == 2
    assert memdub.err.count("\n") == 1


def test_numbers_that_json_does_not_have_are_null(memdub: Shell) -> None:
    sql = (
        "select 'nan'::double, '-inf'::float, [1.5::double, 'inf'::double], {'a': 'nan'::double}, 1.5::float"
    )
    assert memdub("query", sql, "--json") == 0
    assert json.loads(memdub.out, parse_constant=pytest.fail)["rows"] == [
        [None, None, [1.5, None], {"a": None}, 1.5]
    ]


def test_lineage_of_folders(memdub: Shell, root: Path) -> None:
    assert memdub("ingest", film(root / "a.mp4"), "--identity", "anna", "--json") == 0
    clip = json.loads(memdub.out)["clips"][0]
    folder = root / "home" / clip["uri"]
    assert memdub("lineage", folder) == 0
    assert memdub.out.startswith(clip["id"])
    for what in (folder.parent, folder.parent.parent, folder.parents[1] / "foo", ""):
        assert memdub("lineage", what) == 2, what
        assert memdub.err.count("\n") == 1
    (folder.parents[1] / "foo").write_text("no artifact")
    assert memdub("lineage", folder.parents[1] / "foo") == 2
    assert memdub.err.count("\n") == 1


@pytest.mark.parametrize("page", ["none/page.html", ".", ""])
def test_a_page_that_has_no_place(
    memdub: Shell, root: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert memdub("ingest", film(root / "a.mp4"), "--identity", "anna", "--json") == 0
    clip = json.loads(memdub.out)["clips"][0]["id"]
    assert memdub("lineage", clip, "--html", page) == 2
    assert memdub.err.count("\n") == 1
    assert "--html" in memdub.err


LEAVING = """
import atexit, sys, threading
from concurrent.futures import ThreadPoolExecutor
from flows.cli.main import main
go = threading.Event()
threading.Thread(target=lambda: (go.wait(), print("a thread's work"))).start()
ThreadPoolExecutor(1).submit(int)
atexit.register(print, "what is registered")
sys.argv = ["memdub", *sys.argv[1:]]
threading._register_atexit(go.set)
main()
"""


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["nonsense"], 2)])
def test_what_is_to_be_done_at_the_end_is_done(words: list[str], status: int) -> None:
    command = [sys.executable, "-c", LEAVING, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout.splitlines()[-2:] == ["a thread's work", "what is registered"]
    assert done.stderr.count("\n") == (status != 0)
