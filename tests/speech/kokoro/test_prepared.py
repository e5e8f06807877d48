"""What the prepared runtimes share: BLAS on one thread while any of them computes."""

from __future__ import annotations

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from darkchannel.speech.kokoro import prepared


def blas_threads() -> set[int]:
    """Of each BLAS that is loaded."""
    found = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in found}


def test_blas_has_one_thread_until_the_last_is_done() -> None:
    """Whoever ends first takes nothing from who goes on, and in the end all is as before."""
    with threadpool_limits(2, "blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS has one thread at most")
        kept = prepared._OneThread()
        kept.__enter__()  # two threads, neither of which ends within the other
        kept.__enter__()
        assert blas_threads() == {1}
        kept.__exit__()
        assert blas_threads() == {1}
        kept.__exit__()
        assert blas_threads() == {2}
