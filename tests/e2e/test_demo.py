"""The demonstration from end to end, as the README's first command runs it, with the smallest networks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from storage.home import Home
from storage.ledger import Ledger


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MEMDUB_HOME": str(home)}
    command = [sys.executable, "-m", "flows.cli", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "a home"


@pytest.fixture(scope="module")
def first(home: Path) -> subprocess.CompletedProcess[str]:
    return run(home, "demo", "--preset", "smoke")


def test_the_demo_goes_all_the_way(first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stderr
    assert "Traceback" not in first.stderr
    for step in ("filmed", "ingested", "remembered", "trained expression", "trained renderer", "dubbed"):
        assert re.search(rf"^{step}: \w+-[0-9a-f]+ \(", first.stdout, re.MULTILINE), step
    assert "Where the dub came from:" in first.stdout
    assert "footage: footage.mp4" in first.stdout
    assert "general weights: memface_expression.safetensors" in first.stdout


def test_the_second_run_finds_everything(first: object, home: Path) -> None:
    again = json.loads(run(home, "demo", "--preset", "smoke", "--json").stdout)
    kinds = ("puppets", "clips", "memories", "checkpoints", "dubs")
    assert [made["reused"] for kind in kinds for made in again[kind]] == [True] * 6
    rows = Ledger(Home(home).objects).rows("artifacts").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)


def test_the_page_shows_what_there_is(first: object, home: Path) -> None:
    page = home / "out/demo/index.html"
    text = page.read_text()
    for source in re.findall(r'<video src="([^"#]+)', text):
        assert (page.parent / source).stat().st_size > 50_000, source
    assert text.count("<video") == 3
    assert text.count('<rect class="card"') >= 10
    assert "made by a model" in text
    assert "signature and bytes hold" in text
    assert (page.parent / "memory.html").read_text().count("<img") >= 50


def test_the_dub_is_signed_and_lasts_as_long_as_the_speech(first: object, home: Path) -> None:
    dub = home / "out/demo/dub.mp4"
    told = json.loads(run(home, "verify", str(dub), "--json").stdout)["files"][0]
    assert told["holds"]
    assert told["artifact"]["kind"] == "dub"
    row = Ledger(Home(home).objects).rows("clips").to_pylist()[0]
    assert row["identity"] == "maria"
    changed = bytearray(dub.read_bytes())
    changed[len(changed) // 2] ^= 1
    (dub.parent / "changed.mp4").write_bytes(changed)
    assert run(home, "verify", str(dub.parent / "changed.mp4")).returncode == 1


def test_other_methods_are_shown_beside_it(first: object, home: Path) -> None:
    refused = run(home, "demo", "--preset", "smoke", "--methods", "nearest,magic")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--methods magic: no such method" in refused.stderr
    done = run(home, "demo", "--preset", "smoke", "--methods", "nearest,memface")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("nearest", "memface"))]
    page = home / "out/demo/methods/index.html"
    assert {path.name for path in page.parent.glob("*.mp4")} == {
        "1-truth.mp4",
        "1-nearest.mp4",
        "1-memface.mp4",
    }
    assert 'href="methods/index.html"' in (home / "out/demo/index.html").read_text()
