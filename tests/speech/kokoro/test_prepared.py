"""What the prepared runtimes share: BLAS on one thread while any of them computes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import ThreadpoolController

from darkchannel.speech.kokoro import prepared


def blas_threads() -> set[int]:
    """Of each BLAS that is loaded."""
    found = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in found}


def test_blas_has_one_thread_until_the_last_is_done() -> None:
    """Whoever ends first takes nothing from who goes on, and in the end all is as before."""
    before = blas_threads()
    if before == {1}:
        pytest.skip("this BLAS has one thread at most")
    kept = prepared._OneThread()
    lanes = [ThreadPoolExecutor(1), ThreadPoolExecutor(1)]
    for begins, ends in ((0, 0), (0, 1), (1, 0)):  # what a lane began, another may have to end
        lanes[begins].submit(kept.__enter__).result()
        lanes[1 - begins].submit(kept.__enter__).result()
        assert blas_threads() == {1}
        lanes[ends].submit(kept.__exit__).result()
        assert blas_threads() == {1}
        lanes[1 - ends].submit(kept.__exit__).result()
        assert blas_threads() == before
