"""Rendering: every chunk of a plan becomes a take in the store, over any executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait

from darkchannel.errors import EngineUnavailableError
from darkchannel.models import Chunk, Take
from darkchannel.production.pool import Pool
from darkchannel.production.worker import TakeTask, make_take

POOL_ATTEMPTS = 3
"""How often a pool whose workers died (out of memory, say) is set up anew."""

_POLL_SECONDS = 0.25
_TASKS_AHEAD = 32


def render_takes(
    chunks: Iterable[Chunk],
    make_task: Callable[[Chunk, bool], TakeTask],
    pool: Pool,
    *,
    on_take: Callable[[Take], None],
    check: Callable[[], None],
) -> None:
    """Make the takes of chunks; finished ones stay in the store whatever happens to others.

    Args:
        chunks: what to render, in the order in which it is begun.
        make_task: the task of a chunk; the flag says that an earlier worker may have made it.
        pool: where to run.
        on_take: told of each take as it is finished, in any order, in this thread.
        check: called a few times a second; raises to stop the run.

    Raises:
        EngineUnavailableError: workers kept dying.
        DarkChannelError: the first failure of a chunk; what was running is finished first.
    """
    missing = {chunk.index: chunk for chunk in chunks}
    for attempt in range(1, POOL_ATTEMPTS + 1):
        try:
            with pool() as executor:
                again = attempt > 1
                tasks = (make_task(chunk, again) for chunk in list(missing.values()))
                for take in _finished(executor, tasks, check):
                    del missing[take.index]
                    on_take(take)
            return
        except BrokenExecutor as error:
            if attempt == POOL_ATTEMPTS:
                raise EngineUnavailableError(
                    f"speech workers died {POOL_ATTEMPTS} times, the last at chunk "
                    f"{min(missing, default=0)} or after",
                    remedy="see whether memory ran out, or try one worker; a script of your own"
                    " that calls this needs `if __name__ == '__main__':` around it",
                ) from error


def _finished(
    executor: Executor, tasks: Iterator[TakeTask], check: Callable[[], None]
) -> Iterator[Take]:
    """Results as they come, with a bounded number of tasks under way."""
    running: set[Future[Take]] = set()
    exhausted = False
    while running or not exhausted:
        while not exhausted and len(running) < _TASKS_AHEAD:
            task = next(tasks, None)
            if task is None:
                exhausted = True
            else:
                running.add(executor.submit(make_take, task))
        done, running = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        failure: BaseException | None = None
        for future in done:
            failure = failure or future.exception()
            if future.exception() is None:
                yield future.result()
        if failure is not None:
            yield from _drain(running)
            raise failure
        check()


def _drain(running: set[Future[Take]]) -> Iterator[Take]:
    """Let what runs finish, and drop what has not begun: takes already paid for are kept."""
    started = [future for future in running if not future.cancel()]
    for future in started:
        if future.exception() is None:
            yield future.result()
