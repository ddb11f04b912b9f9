"""One thread for arithmetic, so that results do not depend on a machine's cores or on who calls.

Sums over several threads differ in their last bits. Whatever must give the same bytes in any process wraps
its work in `one_thread`; work is shared between processes instead, and threads of one process take turns.
Called all over `tasks`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

__all__ = ["one_thread"]

# The number of threads belongs to the process, and MediaPipe's graphs to whoever calls them first.
_TURN = threading.RLock()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """While it lasts, BLAS, OpenMP, OpenCV and torch use one thread each, and no other thread is in it."""
    import cv2  # here, so that commands that compute nothing start fast

    torch = sys.modules.get("torch")
    with _TURN, threadpool_limits(1):
        before = cv2.getNumThreads(), torch.get_num_threads() if torch else 0
        cv2.setNumThreads(1)
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            cv2.setNumThreads(before[0])
            if torch:
                torch.set_num_threads(before[1])
