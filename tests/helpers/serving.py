"""A real `memdub serve` in a process of its own, with a Prefect home and a port of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

__all__ = ["ROOT", "Serving", "environment_of", "free_port", "prefect", "processes_of", "serving", "until"]

ROOT = Path(__file__).resolve().parents[2]
# A machine may be busy with other things: a server needs seconds of its own time, and minutes of theirs.
PATIENCE = 600.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(folder: Path, home: Path, api: str | None = None) -> dict[str, str]:
    """Nothing of the user's Prefect, and none of the servers that other tests have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DASK_"))}
    told = {"PREFECT_HOME": str(folder / "prefect"), "MEMDUB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    # Runs are started as `prefect` of this very environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, **told, "PATH": path, "OMP_NUM_THREADS": "1", **({"PREFECT_API_URL": api} if api else {})}


def until(told: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true answer; for what nobody can call us about."""
    begun = time.monotonic()
    while not (answer := told()):
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds:.0f} s"
        threading.Event().wait(0.1)
    return answer


def prefect(environment: Mapping[str, str], *words: str) -> str:
    """Prefect's own command, as in another terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *words],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes whose Prefect home lies in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = f"PREFECT_HOME={folder}".encode() in (process / "environ").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if mine and state != "Z":
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended as we looked, or is another user's
    return found


class Serving:
    """One `memdub serve`, and what it says."""

    def __init__(self, folder: Path, home: Path, *words: str) -> None:
        self.folder, self.home, self.port = folder, home, free_port()
        self.environment = environment_of(folder, home)
        self.heard: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "serve", "--port", str(self.port), *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def says(self, part: str) -> str:
        """Waits for a line with this in it."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, "it ended:\n" + "\n".join(self.heard)
            self.heard.append(line)
            if part in line:
                return line

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def terminal(self) -> dict[str, str]:
        """The environment of another terminal, which knows the server."""
        return {**self.environment, "PREFECT_API_URL": f"{self.url}/api"}

    def ask(self, path: str, content: Any = None) -> Any:
        """What the API answers."""
        data = None if content is None else json.dumps(content).encode()
        request = Request(f"{self.url}/api/{path}", data, {"content-type": "application/json"})
        with urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def deployments(self) -> set[str]:
        flows = {one["id"]: one["name"] for one in self.ask("flows/filter", {})}
        return {f"{flows[one['flow_id']]}/{one['name']}" for one in self.ask("deployments/filter", {})}

    def run(self, deployment: str, **parameters: Any) -> dict[str, Any]:
        """Asks for a run as one does in another terminal, and waits until it has ended."""
        words = [f"--param={name}={json.dumps(value)}" for name, value in parameters.items()]
        told = prefect(self.terminal, "deployment", "run", deployment, *words)
        return self.ended(told.partition("UUID:")[2].split()[0])

    def ended(self, run: str) -> dict[str, Any]:
        def over() -> Any:
            found = self.ask(f"flow_runs/{run}")
            return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        found: dict[str, Any] = until(over, f"the end of {run}")
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(300)


@contextmanager
def serving(folder: Path, home: Path, *words: str) -> Iterator[Serving]:
    """Until the end of the block; whatever happened, nothing of it is left."""
    served = Serving(folder, home, *words)
    try:
        served.says("serving ")
        yield served
    finally:
        if served.process.poll() is None:
            served.stop()
        until(lambda: not processes_of(folder), "the end of what it started", 120)
