"""What a refresh costs where nothing is to be done: `python -m tests.bench.refresh`.

Films of a second are really ingested; features, memories and checkpoints are real artifacts with made-up
content. Then whole processes of `memdub refresh` are timed, from their start to their end: the first look
after all was taken (young files are read again), and three more. For comparison `memdub --help` and `memdub
status` in the same home. `--keep FOLDER` leaves the home there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import flows.extract
from flows.refresh import refresh
from storage.artifacts import Made, produce
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import Recipe
from tasks.remember import RememberOptions, features_of, recipe_of
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import Extraction

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--keep")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(asked.keep or folder) / "home"
        begun = time.monotonic()
        fill(home, asked.clips, asked.people)
        print(f"{asked.clips} clips of {asked.people} people taken in {time.monotonic() - begun:.1f} s")
        print(f"{'command':<24} {'whole process':>14}  what it found")
        for words in (["--help"], ["status"], *[["refresh"]] * 4, ["refresh", "--dry-run"]):
            timed(home, words)


def fill(home: Path, clips: int, people: int) -> None:
    """Real clips, quick features, and a memory and a checkpoint for everyone."""
    names = [f"person{number}" for number in range(people)]
    for number in range(clips):
        film(home / "raw" / names[number % people] / f"{number:04}.mp4", seconds=1.0, seed=number)
    for name in names:
        keep_consent(home, name)
    flows.extract.extract = Extraction()  # type: ignore[assignment]
    result = refresh(home=str(home))
    assert len(result.made) == 2 * clips, "not all was taken"
    for name in names:
        keep_consent(home, name, '["ingest", "train", "dub"]')
        remember_and_train(Home(home), name)


def remember_and_train(home: Home, identity: str) -> None:
    """As far as the ledger can tell."""

    def make(workspace: Path) -> Made:
        (workspace / "file").write_text(identity)
        return Made()

    sources = features_of(home, Ledger(home.objects), identity)
    memory = recipe_of(sources, RememberOptions())
    produce(home, memory, make, identity=identity)
    told = {"method": "memface", "preset": "cpu", "stage": "expression"}
    produce(home, Recipe("checkpoint", "train", 1, told, memory.inputs), make, identity=identity)


def timed(home: Path, words: list[str]) -> None:
    environment = {**os.environ, "MEMDUB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    asked = [*words, "--json"] if words[0] == "refresh" else words
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *asked],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - begun
    told = ""
    if words[0] == "refresh":
        people = json.loads(done.stdout)["people"]
        told = ", ".join(f"{sum(one[name] for one in people)} {name}" for name in ("unchanged", "taken"))
    print(f"{' '.join(words):<24} {seconds:>12.2f} s  {told}")


if __name__ == "__main__":
    main()
