"""The demonstration from end to end, as the README's first command runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from storage.home import Home
from storage.ledger import Ledger


def run_demo(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MEMDUB_HOME": str(home)}
    command = [sys.executable, "-m", "flows.cli", "demo", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_demo_films_ingests_traces_and_is_quick_the_second_time(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    first = run_demo(home)
    assert first.returncode == 0, first.stderr
    assert "Traceback" not in first.stderr
    assert "Where the clip came from:" in first.stdout
    assert "└── footage: footage.mp4" in first.stdout
    assert "    └── filmed: puppet-" in first.stdout

    second = json.loads(run_demo(home, "--json").stdout)
    assert [made["reused"] for made in second["puppets"] + second["clips"]] == [True, True]
    assert second["lineage"]["nodes"][0]["nodes"][0]["kind"] == "puppet"

    page = Path(second["page"]).read_text()
    assert "<video" in page
    assert page.count('<rect class="card"') == 3
    source = page.split('<video src="')[1].split("#")[0]
    assert (Path(second["page"]).parent / source).stat().st_size > 100_000

    clip = Ledger(Home(home).objects).rows("clips").to_pylist()[0]
    truth = pq.read_metadata(second["puppets"][0]["truth"])
    assert truth.num_rows == clip["frames"]
