"""Graphics cards of this machine: one training a card, whoever starts it and however.

    with held("auto", 1, tell) as device:   # "cuda:1" once card 1 is ours; "cpu" where there is none
        train(device)

The lock is the kernel's, on a file a card: it is let go when its process dies, however it dies. It holds for
the command line and for Prefect's runs alike, between users of one machine, but not across containers that
do not share /tmp. Called by `tasks.training`; `flows` ask how many cards there are.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from storage.errors import HomeError

__all__ = ["FOLDER", "count", "held", "needed"]

# Every process of the machine must look here, so it is not where TMPDIR points.
FOLDER = Path("/tmp/memdub-cards")
_LOOK_SECONDS = 0.5


def count() -> int:
    """How many cards torch sees."""
    import torch

    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0


def needed(device: str, processes: int = 1) -> int:
    """How many cards such a training takes; 0 where it runs on processors."""
    return 0 if device.startswith("cpu") or count() == 0 else processes


@contextlib.contextmanager
def held(device: str, processes: int, tell: Callable[[str], None]) -> Iterator[str]:
    """The device to train on, with its cards ours while it lasts; waits for them, and says for whom."""
    wanted = needed(device, processes)
    if wanted == 0:
        yield device
        return
    chosen = _choices(device, wanted)
    with contextlib.ExitStack() as locks:
        card = _take(chosen, wanted, tell, locks)
        # Several processes name their cards themselves, from the first on.
        yield device if wanted > 1 else f"cuda:{card}"


def _choices(device: str, wanted: int) -> Sequence[int]:
    """The cards that would do, by torch's number; several processes take the first ones, all of them."""
    if wanted > 1:
        return range(wanted)
    _, _, number = device.partition(":")
    return [int(number)] if number else range(count())


def _take(
    chosen: Sequence[int], wanted: int, tell: Callable[[str], None], locks: contextlib.ExitStack
) -> int:
    """Locks one of them, or all where all are wanted: in order, so that no two wait for each other."""
    groups = [list(chosen)] if wanted == 1 else [[number] for number in chosen]
    return [_first_free(group, tell, locks) for group in groups][-1]


def _first_free(group: list[int], tell: Callable[[str], None], locks: contextlib.ExitStack) -> int:
    told = False
    while True:
        for number in group:
            lock = _try(_file_of(number))
            if lock is not None:
                locks.callback(os.close, lock)
                return number
        if not told:
            tell(f"waiting for a graphics card: {_holder(_file_of(group[0]))} trains on it")
            told = True
        time.sleep(_LOOK_SECONDS)


def _file_of(number: int) -> Path:
    """By the card itself and not by its number, which CUDA_VISIBLE_DEVICES changes."""
    import torch

    told = torch.cuda.get_device_properties(number)
    return FOLDER / f"{getattr(told, 'uuid', None) or f'card-{number}'}.lock"


def _try(path: Path) -> int | None:
    """The descriptor that holds the lock; None if another process does."""
    handle = _opened(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
    return handle


def _opened(path: Path) -> int:
    try:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir()
            path.parent.chmod(0o1777)  # others train here too
        handle = _there_or_new(path)
        with contextlib.suppress(PermissionError):  # it is another user's, and open to us already
            os.fchmod(handle, 0o666)
    except OSError as error:
        do = "let everybody write there"
        raise HomeError(f"cannot lock a card ({error.strerror})", where=path, do=do) from error
    return handle


def _there_or_new(path: Path) -> int:
    """Others' files that are there are only opened: creating them is refused (fs.protected_regular)."""
    how = os.O_RDWR | os.O_NOFOLLOW
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, how)
        with contextlib.suppress(FileExistsError):
            return os.open(path, how | os.O_CREAT | os.O_EXCL, 0o666)


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip() or "another process"
    return "another process"
