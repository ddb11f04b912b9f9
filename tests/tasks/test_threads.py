from __future__ import annotations

import cv2
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from tasks.threads import one_thread


def test_one_thread_while_it_lasts_and_as_before_afterwards() -> None:
    with threadpool_limits(2):
        torch.set_num_threads(2)
        cv2.setNumThreads(2)
        with one_thread():
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}
            assert (cv2.getNumThreads(), torch.get_num_threads()) == (1, 1)
        assert "blas" in {pool["user_api"] for pool in threadpool_info() if pool["num_threads"] == 2}
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
