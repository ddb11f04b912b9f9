from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from tasks import threads
from tasks.threads import one_thread


def test_threads_of_one_process_take_turns() -> None:
    def may_enter() -> bool:
        entered = threads._TURN.acquire(blocking=False)
        if entered:
            threads._TURN.release()
        return entered

    with ThreadPoolExecutor(1) as another:
        with one_thread(), one_thread():
            assert may_enter(), "who is in may enter again"
            assert not another.submit(may_enter).result()
        assert another.submit(may_enter).result()


def test_one_thread_while_it_lasts_and_as_before_afterwards() -> None:
    with threadpool_limits(2):
        torch.set_num_threads(2)
        cv2.setNumThreads(2)
        with one_thread():
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}
            assert (cv2.getNumThreads(), torch.get_num_threads()) == (1, 1)
        assert "blas" in {pool["user_api"] for pool in threadpool_info() if pool["num_threads"] == 2}
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
        assert _mkl() in (None, 2)


def _mkl() -> int | None:
    """How many threads torch's own MKL may use, where it has one: nothing else tells."""
    told = re.search(r"mkl_get_max_threads\(\) : (\d+)", torch.__config__.parallel_info())
    return int(told[1]) if told else None


LATE = """
import os
os.environ.pop("OMP_NUM_THREADS", None)
from tasks.threads import one_thread
with one_thread():
    with one_thread():
        import torch
    print(torch.get_num_threads(), end=" ")
print(torch.get_num_threads() == len(os.sched_getaffinity(0)), "OMP_NUM_THREADS" in os.environ)
"""


def test_what_is_imported_meanwhile_has_one_thread_too_and_gets_the_others_back() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True", "False"]
