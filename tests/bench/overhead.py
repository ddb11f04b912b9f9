"""What orchestration costs: the same extraction by plain calls, by Dask, and by Prefect and Dask.

    python -m tests.bench.overhead                              (ten minutes of footage: some twenty minutes)
    python -m tests.bench.overhead --clips 2 --seconds 8        (to try it)

Each run is a process of its own over a fresh copy of the same home, timed from the call to its end: imports,
starting and stopping workers included. The Prefect server stands beforehand, as `memdub serve` has it.
Runs take turns, in another order each round, so that what else the machine does meets all of them. One worker
and one process each; yet Dask's flow process hashes and commits while its worker computes on, so processor
seconds (of the process and all its children) are told beside the wall's.

The footage is real where MEMDUB_FOOTAGE has it (a senator's minute, begun at another second for each clip),
else a puppet's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from flows.ingest import ingest
from flows.server import OwnServer
from storage.home import Home
from storage.ledger import Ledger
from storage.media import MediaWriter, VideoReader, read_sound
from tasks.film import Script, film
from tests.bench.footage import real_footage
from tests.helpers.footage import keep_consent

RATE = 16000
WAYS = ("plain calls", "Dask", "Prefect + Dask")
CHILD = """
import json, sys, time
way, home = sys.argv[1:]
if way == "Prefect + Dask":
    from flows.deployable import extract
    work = lambda: extract(identities=["anna"], workers=1, home=home)
else:
    from flows.extract import extract
    work = lambda: extract(["anna"], workers=0 if way == "plain calls" else 1, home=home).raise_if_refused()
if __name__ == "__main__":
    begun = time.perf_counter()
    work()
    print("seconds", time.perf_counter() - begun)
"""


def main() -> None:
    asked = _asked()
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder) / "prefect") as api:
        root = Path(folder)
        home, frames = _prepared(root, asked.clips, asked.seconds)
        print(f"{asked.clips} clips of {asked.seconds} s, {frames} frames, {asked.rounds} rounds:")
        told: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        hashes = set()
        for number in range(asked.rounds):
            for way in (*WAYS[number % 3 :], *WAYS[: number % 3]):
                copy = root / "run"
                shutil.copytree(home, copy)
                told[way].append(_run(way, copy, api))
                hashes.add(_content(copy))
                shutil.rmtree(copy)
                wall, cpu = told[way][-1]
                print(f"  round {number + 1}, {way}: {wall:.1f} s, processor {cpu:.1f} s", flush=True)
        _tell(told)
        print(f"  contents: {'the same in all runs' if len(hashes) == 1 else 'DIFFERENT'}")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args()


def _prepared(root: Path, clips: int, seconds: int) -> tuple[Path, int]:
    real = real_footage()
    if real is not None:
        source = real / "video" / "senator_60s_256.mp4"
    else:
        script = Script(seed=2, size=256, text="The quick brown fox jumps over the lazy dog. " * 5)
        source = film(script, root / "puppet.mp4").video
    cuts = [_cut(source, root / "cuts" / f"{number}.mp4", number, seconds) for number in range(clips)]
    home = root / "home"
    keep_consent(home)
    ingest(cuts, "anna", home=str(home)).raise_if_refused()
    return home, sum(row["frames"] for row in Ledger(Home(home).objects).rows("clips").to_pylist())


def _cut(source: Path, target: Path, begin: int, seconds: int) -> Path:
    """So many seconds of the video, from its second `begin` on, round and round."""
    target.parent.mkdir(exist_ok=True)
    reader = VideoReader(source)
    rate = Fraction(reader.rate)
    sound = np.roll(read_sound(source, RATE, True), -begin * RATE)
    pictures = (picture for _ in cycle([0]) for picture in reader)
    with MediaWriter(target, reader.size, rate, RATE, crf=14, preset="veryfast") as writer:
        first = round(begin * rate)
        for picture in islice(pictures, first, first + round(seconds * rate)):
            writer.write_frame(picture)
        writer.write_sound(np.resize(sound, (seconds * RATE, *sound.shape[1:])))
    return target


@contextmanager
def _server(home: Path) -> Iterator[dict[str, str]]:
    """A Prefect server of our own; what makes a child talk to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        server = OwnServer(port, home / "server.log")
        server.start()
        try:
            server.wait()
            yield {"PREFECT_API_URL": server.api, "PREFECT_HOME": str(home)}
        finally:
            server.stop()


def _run(way: str, home: Path, api: dict[str, str]) -> tuple[float, float]:
    """Seconds of the wall and of processors."""
    told = api if way.startswith("Prefect") else {}
    environment = {**os.environ, **told, "PREFECT_LOGGING_LEVEL": "ERROR"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, way, str(home)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    lines = child.stdout.read().splitlines()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{way} ended with {child.returncode}")
    seconds = next(float(line.split()[1]) for line in lines if line.startswith("seconds "))
    return seconds, used.ru_utime + used.ru_stime


def _content(home: Path) -> str:
    rows = Ledger(Home(home).objects).rows("artifacts", ["id", "content_hash"]).sort_by("id")
    return json.dumps(rows.to_pylist())


def _tell(told: dict[str, list[tuple[float, float]]]) -> None:
    plain = told[WAYS[0]]
    for way, runs in told.items():
        wall, cpu = (statistics.median(run[place] for run in runs) for place in (0, 1))
        # Each against the plain run of its own round: what else the machine did changes from round to round.
        ratio = statistics.median(run[0] / base[0] for run, base in zip(runs, plain, strict=True))
        work = statistics.median(run[1] / base[1] for run, base in zip(runs, plain, strict=True))
        print(f"  {way}: {wall:.1f} s, {ratio:.3f} times; processor {cpu:.1f} s, {work:.3f} times")


if __name__ == "__main__":
    main()
