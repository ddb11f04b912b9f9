"""A refresh killed again and again, at random: `python -m tests.bench.refresh_kills [--kills 50] [--seed 0]`.

raw/ has a new file, a changed one, one that is gone, one that was renamed and one that is bad. A refresh of
it is killed (SIGKILL) at a random moment of the time that an undisturbed one takes, started again, killed
again, up to five times; then one may end. What the ledger says then must be what it says after the
undisturbed one: files, clips, artifacts with their content, lineage, failures. Then all begins anew, until so
many were killed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.flows.test_refresh_faults import changed_home, command, outcome

IN_A_ROW = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance, killed, rounds = random.Random(asked.seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        start, home = changed_home(Path(folder)), Path(folder) / "copy"
        usual = undisturbed_seconds(start, home)
        wanted = outcome(home)
        print(f"undisturbed: {usual:.1f} s, {len(wanted['artifacts'])} artifacts")
        while killed < asked.kills:
            fresh(start, home)
            row = min(IN_A_ROW, asked.kills - killed)
            # The early ones first: what is done leaves less time to be killed in.
            moments = sorted(chance.uniform(0.2, 1.0) * usual for _ in range(row))
            hit = sum(killed_at(home, moment) for moment in moments)
            ended(home)
            killed, rounds = killed + hit, rounds + 1
            same = outcome(home) == wanted
            told = ", ".join(f"{moment:.2f}" for moment in moments)
            print(
                f"killed {hit} times, after {told} s: {'the same' if same else 'ANOTHER LEDGER'}", flush=True
            )
            if not same:
                found = outcome(home)
                for name, rows in wanted.items():
                    print(f"{name}: missing {set(rows) - set(found[name])}")
                    print(f"{name}: too many {set(found[name]) - set(rows)}")
                sys.exit(1)
    print(f"{killed} kills in {rounds} refreshes: each ended as the undisturbed one")


def fresh(start: Path, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(start, home)


def undisturbed_seconds(start: Path, home: Path, times: int = 3) -> float:
    """How long it takes at its quickest: files are read from memory then. Leaves what it ends in."""
    took = []
    for _ in range(times):
        fresh(start, home)
        begun = time.monotonic()
        ended(home)
        took.append(time.monotonic() - begun)
    return min(took)


def ended(home: Path) -> None:
    process = command(home, "refresh")
    _, said = process.communicate()
    assert process.returncode in (0, 1), said


def killed_at(home: Path, moment: float) -> bool:
    """Whether it was still at work at that moment."""
    process = command(home, "refresh")
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


if __name__ == "__main__":
    main()
