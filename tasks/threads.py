"""One thread for arithmetic, so that results do not depend on a machine's cores or on who calls.

Sums over several threads differ in their last bits. Whatever must give the same bytes in any process wraps
its work in `one_thread`; work is shared between processes instead, and threads of one process take turns.
Called all over `tasks`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

__all__ = ["one_thread"]

# The number of threads belongs to the process, and MediaPipe's graphs to whoever calls them first.
_TURN = threading.RLock()
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """While it lasts, BLAS, OpenMP, OpenCV and torch use one thread each, and no other thread is in it."""
    import cv2  # here, so that commands that compute nothing start fast

    usual = _cores()
    with _TURN, _told_to_who_is_imported_now():
        torch = sys.modules.get("torch")
        # Asked before the limit, which torch takes for its own: MKL would be given 1 back for good.
        before = cv2.getNumThreads(), torch.get_num_threads() if torch else 0
        with threadpool_limits(1):
            cv2.setNumThreads(1)
            if torch:
                torch.set_num_threads(1)
            try:
                yield
            finally:
                cv2.setNumThreads(before[0])
                if late := sys.modules.get("torch"):
                    late.set_num_threads(before[1] or usual)


@contextlib.contextmanager
def _told_to_who_is_imported_now() -> Iterator[None]:
    """A library that is loaded only while it lasts asks the environment how many threads it may have."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _cores() -> int:
    """What torch would have taken, had it been there before."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) else len(os.sched_getaffinity(0))
