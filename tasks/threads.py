"""One thread for arithmetic, so that results do not depend on a machine's cores or on who calls.

Sums over several threads differ in their last bits. Whatever must give the same bytes in any process wraps
its work in `one_thread`; work is shared between processes instead. Called all over `tasks`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

__all__ = ["one_thread"]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """While it lasts, BLAS, OpenMP, OpenCV and torch use one thread each. Also a decorator."""
    import cv2

    torch = sys.modules.get("torch")
    before = cv2.getNumThreads(), torch.get_num_threads() if torch else 0
    with threadpool_limits(1):
        cv2.setNumThreads(1)
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            cv2.setNumThreads(before[0])
            if torch:
                torch.set_num_threads(before[1])
