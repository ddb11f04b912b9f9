"""A team's day in one go, from an empty home: `python -m tests.bench.team_day`.

    serve; a refresh over four puppets; `prefect deployment run dub/obama` on a real clip (skipped where there
    is no real footage); a new file; the scheduled refresh that picks it up; the day's table.
    --preset P (smoke) of the dub's training; --keep FOLDER leaves home and films there

Each step is what a person types: `memdub serve` is a process of its own, deployments are run by Prefect's
command. Ends with status 1 where a step did not do what it should.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from flows.cli.output import table
from models.puppet.texts import ENGLISH_SENTENCES
from storage.home import Home
from storage.ledger import Ledger
from tasks.film import Script
from tasks.film import film as film_puppet
from tests.bench.footage import real_footage
from tests.helpers.footage import keep_consent
from tests.helpers.serving import Serving, serving, until

SCOPE = '["ingest", "train", "dub"]'
PEOPLE = ("anna", "bert", "carla", "dirk")
SECONDS = 1800.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        folder = asked.keep or Path(passing)
        home = folder / "home"
        home.mkdir(parents=True)
        # Every minute, so that nobody has to wait for the night.
        with serving(folder, home, "--cron", "* * * * *", "--timezone", "UTC") as served:
            return day(served, home, asked.preset)


def day(served: Serving, home: Path, preset: str) -> int:
    """The steps, and whether each did what it should."""
    met = {"served": bool(served.deployments())}
    for seed, name in enumerate(PEOPLE):
        sentence = ENGLISH_SENTENCES[seed]
        film_puppet(Script(seed + 1, sentence), home / "raw" / name / "morning.mp4", workers=2)
        keep_consent(home, name, SCOPE)
    # By whichever refresh comes first: the one of this minute, or the one asked for here.
    said("refresh/nightly", served.run("refresh/nightly"))
    until(lambda: len(clips(home)) == len(PEOPLE), "four clips", SECONDS)
    until(lambda: extracted(home) == set(PEOPLE), "features of all", SECONDS)
    met["four puppets ingested and extracted"] = True
    met |= dubbed(served, home, preset)
    film_puppet(Script(1, ENGLISH_SENTENCES[5]), home / "raw" / "anna" / "noon.mp4", workers=2)
    begun = time.monotonic()
    until(lambda: len(clips(home, "anna")) == 2, "the new file", SECONDS)
    print(f"a new file was a clip after {time.monotonic() - begun:.0f} s, by the schedule")
    met["a new file is picked up by the schedule"] = True
    until(lambda: idle(served), "the last refresh", SECONDS)
    runs = Ledger(Home(str(home)).objects).rows("runs").to_pylist()
    of_day(runs)
    met["no run failed"] = all(run["status"] == "done" for run in runs)
    print("\n" + "\n".join(f"{name}: {'yes' if yes else 'NO'}" for name, yes in met.items()))
    return 0 if all(met.values()) else 1


def dubbed(served: Serving, home: Path, preset: str) -> dict[str, bool]:
    """The real clip, taken by its name and dubbed with the newest speech."""
    footage = real_footage()
    if footage is None:
        print("dub/obama is skipped: no real footage; set MEMDUB_FOOTAGE")
        return {}
    speech = home / "raw" / "obama" / "speech"
    speech.mkdir(parents=True)
    shutil.copy(footage / "video" / "obama_weekly_20s.mp4", home / "raw" / "obama")
    shutil.copy(footage / "audio" / "obama_speech_24s.wav", speech)
    keep_consent(home, "obama", SCOPE)
    until(lambda: "dub/obama" in served.deployments(), "dub/obama", 120)
    until(lambda: len(clips(home, "obama")) == 1, "the clip", SECONDS)
    until(lambda: "obama" in extracted(home), "its features", SECONDS)
    ended = served.run("dub/obama", preset=preset)
    said("dub/obama", ended)
    films = list((home / "out").glob("obama-obama_speech_24s-*.mp4"))
    return {"dub/obama made a film": ended["state_type"] == "COMPLETED" and len(films) == 1}


def said(what: str, run: dict[str, Any]) -> None:
    print(f"{what}: {run['name']}, {run['state_name'].lower()} in {run['total_run_time']:.0f} s", flush=True)


def clips(home: Path, identity: str | None = None) -> list[dict[str, Any]]:
    rows = Ledger(Home(str(home)).objects).rows("clips").to_pylist()
    return [row for row in rows if identity in (None, row["identity"])]


def extracted(home: Path) -> set[str]:
    rows = Ledger(Home(str(home)).objects).rows("artifacts", ["kind", "identity"]).to_pylist()
    return {row["identity"] for row in rows if row["kind"] == "features"}


def idle(served: Serving) -> bool:
    wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    return not served.ask("flow_runs/filter", wanted)


def of_day(runs: list[dict[str, Any]]) -> None:
    rows = [
        [
            run["started"],
            run["flow"],
            run["identity"],
            run["status"],
            run["seconds"],
            len(run["made"]),
            len(run["reused"]),
        ]
        for run in sorted(runs, key=lambda run: run["started"])
        if run["made"] or run["flow"] != "refresh"
    ]
    idle = len(runs) - len(rows)
    table(["began", "flow", "identity", "status", "seconds", "made", "reused"], rows, right=(4, 5, 6))
    print(f"and {idle} refreshes that had nothing to do")


if __name__ == "__main__":
    raise SystemExit(main())
