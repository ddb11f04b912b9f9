"""Killed at any moment, `memdub dub` and `memdub train` go on to the same: `python -m tests.bench.kills`.

    --home HOME --identity NAME    someone who is there; else the senator, or a puppet without footage
    --method M --preset P          of the dub (nearest cpu); --train-method, --train-preset (memface smoke)
    --kills N                      of each (6)

Each command runs once undisturbed, in a copy of the home. Then, N times: a fresh copy, SIGKILL to the command
and all its children at a random moment of the time it took, a look at the ledger, and the same command again.
What the ledger names must be whole at all times, and what comes out the same as undisturbed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import torch

from models.train import CHECKPOINT
from models.training import read_checkpoint
from storage.artifacts import DRAFT, check_whole, find
from storage.home import Home
from storage.ledger import Ledger
from tests.bench.dubbing import home_of, speech

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from flows.cli.main import main; main(sys.argv[1:])"
SPEECH_S = 20.0


@dataclass(frozen=True)
class Case:
    """A command, and a digest of all that it makes in a home."""

    name: str
    words: list[str]
    made: Callable[[Path], str]


def main() -> None:
    asked = _asked()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = Path(asked.home) if asked.home else Path(home_of(folder / "start", asked.identity))
        whose, out = asked.identity, folder / "out.mp4"
        audio = speech(folder / "speech.wav", SPEECH_S)
        dub = ["dub", whose, str(audio), "-o", str(out), "--method", asked.method, "--preset", asked.preset]
        train = ["train", whose, "--method", asked.train_method, "--preset", asked.train_preset]
        before = _checkpoints(start)
        cases = [
            Case(f"dub --method {asked.method}", dub, lambda home: film_digest(out)),
            Case(
                f"train --method {asked.train_method} --preset {asked.train_preset}",
                [*train, "--device", "cpu", "--seed", "12345"],
                lambda home: weights_digest(home, _checkpoints(home) - before),
            ),
        ]
        sound = [_case(case, start, folder, asked.kills) for case in cases]
    sys.exit(0 if all(sound) else 1)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home")
    parser.add_argument("--identity", default="speaker")
    parser.add_argument("--method", default="nearest")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--train-method", default="memface")
    parser.add_argument("--train-preset", default="smoke")
    parser.add_argument("--kills", type=int, default=6)
    return parser.parse_args()


def _case(case: Case, start: Path, folder: Path, kills: int) -> bool:
    home, chance, sound = folder / "home", random.Random(0), True
    _copied(start, home)
    begun = time.monotonic()
    if run(case.words, home, None):
        sys.exit(f"{case.name}: failed undisturbed")
    usual, wanted = time.monotonic() - begun, case.made(home)
    print(f"\nmemdub {case.name}: undisturbed {usual:.1f} s")
    print(f"{'killed after':>13}  {'what was kept':<34} {'ledger':<8} {'went on in':>10}  result")
    for number in range(kills):
        _copied(start, home)
        # Spread over all of the run; chance within each part.
        moment = usual * (number + chance.random()) / kills
        ended = run(case.words, home, moment)
        kept, whole = _kept(start, home), _ledger_is_whole(home)
        begun = time.monotonic()
        failed = run(case.words, home, None)
        same = not failed and case.made(home) == wanted and _ledger_is_whole(home)
        sound &= same and whole
        told = "it had ended" if ended == 0 else kept
        print(
            f"{moment:>11.2f} s  {told:<34} {'whole' if whole else 'BROKEN':<8} "
            f"{time.monotonic() - begun:>8.1f} s  {'the same' if same else 'ANOTHER'}",
            flush=True,
        )
    return sound


def run(words: list[str], home: Path, moment: float | None) -> int:
    """The command's status; with a moment it is killed then, and all that it started."""
    environment = {**os.environ, "MEMDUB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, "-c", COMMAND, *words]
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            status = process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()
        if status:
            said.seek(0)
            print(said.read().decode())
    return status


def _copied(start: Path, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.parent.joinpath("out.mp4").unlink(missing_ok=True)
    shutil.copytree(start, home)


def _kept(start: Path, home: Path) -> str:
    """What is finished: in the ledger, or in the drafts."""
    if new := _artifacts(home) - _artifacts(start):
        return f"in the ledger: {', '.join(sorted({one.partition('-')[0] for one in new}))}"
    drafts = list(Home(home).workspace_root().glob(f"*{DRAFT}"))
    pieces = [piece for one in drafts for piece in one.glob("pieces/piece-*.mp4")]
    states = [state for one in drafts for state in one.glob("state/state.safetensors")]
    bundles = [bundle for one in drafts for bundle in one.glob("bundle.safetensors")]
    said = [
        *([f"{len(pieces)} pieces of film"] if pieces else []),
        *(["state of a training"] if states else []),
        *(["its material"] if bundles and not states else []),
    ]
    return ", ".join(said) or "nothing yet"


def _ledger_is_whole(home: Path) -> bool:
    """Whether every artifact that the ledger names has all its bytes."""
    place = Home(home)
    ledger = Ledger(place.objects)
    for row in ledger.rows("artifacts").to_pylist():
        artifact = find(ledger, row["id"], row["identity"])
        try:
            assert artifact is not None
            check_whole(place, artifact, read_all=True)
        except Exception as error:
            print(f"  {row['id']}: {error}")
            return False
    return True


def _artifacts(home: Path) -> set[str]:
    return {row["id"] for row in Ledger(Home(home).objects).rows("artifacts").to_pylist()}


def _checkpoints(home: Path) -> set[str]:
    rows = Ledger(Home(home).objects).rows("artifacts").to_pylist()
    return {row["uri"] for row in rows if row["kind"] == "checkpoint"}


def film_digest(path: Path) -> str:
    """Of all coded pictures and sounds: the signature around them tells the time."""
    digest = hashlib.sha256()
    with av.open(str(path)) as film:
        for packet in film.demux():
            digest.update(f"{packet.stream.index} {packet.pts} ".encode() + bytes(packet))
    return digest.hexdigest()


def weights_digest(home: Path, made: set[str]) -> str:
    """Of the weights and the curves of these checkpoints: beside them stands how long it took."""
    digest = hashlib.sha256()
    for uri in sorted(made):
        told, tensors = read_checkpoint(home / uri / CHECKPOINT)
        digest.update(f"{uri} {told['losses']} {told['metrics']}".encode())
        for name, values in sorted(tensors.items()):
            digest.update(name.encode() + values.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
