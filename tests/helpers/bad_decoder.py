"""A decoder that hangs or crashes in C, in every process that has this module's folder in its PYTHONPATH.

`environment(folder)` puts a `sitecustomize` there, which Python imports before anything else. A file's name
says what its decoder does: `blocks` waits in a system call for ever, `spins` does so and never lets another
thread of its process run, `stops` does it in the middle of the film, `crashes` dies.
Whoever opens a file with what KILLS_WHO_READS says in its path is killed.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["bad", "environment", "readers"]

ROOT = Path(__file__).parents[2]

_CUSTOM = """
import ctypes, os, signal, sys, tempfile

def blocks(path):
    pipe = os.path.join(tempfile.mkdtemp(dir={folder!r}), "pipe")
    os.mkfifo(pipe)
    real(pipe, "r")  # libav itself waits for somebody to write

def spins(path):
    ctypes.PyDLL(None).pause()  # keeps the interpreter's lock

def crashes(path):
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)

def opened(file, *words, **how):
    doomed = os.environ.get("KILLS_WHO_READS")
    if doomed and doomed in str(file):
        os.kill(os.getpid(), signal.SIGKILL)
    for bad in (blocks, spins, crashes):
        if bad.__name__ in os.path.basename(str(file)):
            open(os.path.join({folder!r}, f"met-{{bad.__name__}}-{{os.getpid()}}"), "w").close()
            bad(file)
    return real(file, *words, **how)

class Late:
    # Patches av as it is imported, and costs nothing where it is not.
    def find_spec(self, name, path=None, target=None):
        if name == "storage.media.video":
            import importlib, storage.media._libav as libav
            decoded = libav.decoded
            count = 0
            def stopping(packet):
                nonlocal count
                if "stops" in packet.stream.container.name:
                    count += 1
                    if count == 20:
                        spins(None)
                return decoded(packet)
            libav.decoded = stopping
        if name == "storage.media._libav":
            global real
            import av
            real, av.open = av.open, opened
        return None

sys.meta_path.insert(0, Late())
"""


def environment(folder: Path) -> dict[str, str]:
    """For a process whose decoders, and whose children's, shall be so."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_CUSTOM.format(folder=str(folder)))
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def bad(folder: Path) -> list[tuple[str, int]]:
    """What decoders met, and in which process."""
    names = (path.name.split("-") for path in folder.glob("met-*"))
    return [(what, int(pid)) for _, what, pid in names]


def readers(parent: int) -> list[int]:
    """The processes that read files for this one and are not over."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, above = path.read_text().rpartition(")")[2].split()[:2]
            words = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue  # it ended as we looked
        if int(above) == parent and state != "Z" and b"storage.media.apart" in words:
            found.append(int(path.parent.name))
    return found
