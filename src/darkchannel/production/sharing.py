"""One set of speech workers for all jobs, their chunks in fair turns.

Each job is handed an executor of its own (:meth:`SharedPool.share`) that is only a line of its
chunks.  One thread takes from the lines in turns and keeps the workers busy, with one chunk ahead
of each; so what is under way is bounded by workers, whatever the number of jobs.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from darkchannel.errors import EngineUnavailableError
from darkchannel.production.pool import Pool, give_up

P = ParamSpec("P")
T = TypeVar("T")
LOG = logging.getLogger(__name__)

USUAL_PRIORITY = 10
"""Of 1 to 100: a job's share of the workers is its priority among those of all others."""

HEAD_START = 20
"""A job's first chunks, which count a tenth: a page sent while nine books render then gets half
the workers instead of a tenth of them.  A book gains nothing much by twenty chunks."""

HEAD_START_WEIGHT = 10.0


@dataclass(eq=False)
class _Item:
    """One call that waits or runs."""

    call: Callable[[], Any]
    line: _Line
    future: Future[Any] = field(default_factory=Future)
    executor: Executor | None = None


@dataclass(eq=False)
class _Line:
    """The waiting calls of one job.

    ``turn`` is the virtual time of its next call (stride scheduling: Waldspurger and Weihl,
    1995): the line with the earliest goes next, and its own moves on by 1/priority.
    """

    priority: int
    turn: float
    served: int = 0
    waiting: deque[_Item] = field(default_factory=deque)
    closed: bool = False

    def advance(self) -> None:
        """Count one call."""
        boost = HEAD_START_WEIGHT if self.served < HEAD_START else 1.0
        self.served += 1
        self.turn += 1 / (self.priority * boost)


class SharedPool:
    """Speech workers that outlive jobs; safe to use from any thread.

    Workers that die are replaced.  What they were at is then tried again, one call at a time with
    nothing beside it: so the call that kills workers is found, and only its job hears of it
    (BrokenExecutor); the others never notice.

    Args:
        pool: makes the workers.
        workers: how many it makes.
    """

    def __init__(self, pool: Pool, workers: int) -> None:
        self._pool = pool
        self._most = 2 * workers
        self._lines: list[_Line] = []
        self._running: set[_Item] = set()
        self._suspects: deque[_Item] = deque()
        self._alone = False
        self._now = 0.0
        self._closed = False
        self._broken = False
        self._executor: Executor | None = None
        self._stack = ExitStack()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._dispatch, name="fair-turns", daemon=True)
        self._thread.start()

    @contextmanager
    def share(self, priority: int = USUAL_PRIORITY) -> Iterator[Executor]:
        """An executor for one job; what still waits at its end is cancelled.

        Args:
            priority: of the job, 1 to 100.
        """
        with self._changed:
            line = _Line(priority, self._now)
            self._lines.append(line)
        try:
            yield _Share(self, line)
        finally:
            self._leave(line)

    @property
    def depth(self) -> int:
        """Calls that wait for a worker."""
        with self._changed:
            return sum(len(line.waiting) for line in self._lines)

    def close(self) -> None:
        """End the workers at once; what was waiting or running fails."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            left = [*self._running, *self._suspects]
            left += [item for line in self._lines for item in line.waiting]
            self._running.clear()
            self._suspects.clear()
            self._lines.clear()
        for item in left:
            _fail(item.future, EngineUnavailableError("the speech workers were stopped"))
        self._replace()

    def submit(self, line: _Line, call: Callable[[], T]) -> Future[T]:
        """Let a call wait in a line."""
        item = _Item(call, line)
        with self._changed:
            if self._closed or line.closed:
                raise RuntimeError("no new calls after the end")
            if not line.waiting:
                # Who had nothing to do has not saved up turns meanwhile.
                line.turn = max(line.turn, self._now)
            line.waiting.append(item)
            self._changed.notify_all()
        return item.future

    def _leave(self, line: _Line) -> None:
        with self._changed:
            line.closed = True
            left = list(line.waiting)
            line.waiting.clear()
            if line in self._lines:
                self._lines.remove(line)
        for item in left:
            item.future.cancel()

    def _dispatch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._broken or self._may_start())
                if self._closed:
                    return
                broken, self._broken = self._broken, False
                item = None if broken else self._next()
            if broken:
                LOG.error("speech workers died and are replaced")
                self._replace()
            elif item is not None:
                self._start(item)

    def _may_start(self) -> bool:
        if self._alone:
            return False
        if self._suspects:
            return not self._running
        return len(self._running) < self._most and any(line.waiting for line in self._lines)

    def _next(self) -> _Item | None:
        """The call whose turn it is, counted as running; None if it was cancelled."""
        if self._suspects:
            item = self._suspects.popleft()
            self._alone = True
        else:
            line = min((line for line in self._lines if line.waiting), key=lambda line: line.turn)
            item = line.waiting.popleft()
            if not item.future.set_running_or_notify_cancel():
                return None
            self._now = line.turn
            line.advance()
        self._running.add(item)
        return item

    def _start(self, item: _Item) -> None:
        try:
            if self._executor is None:
                self._executor = self._stack.enter_context(self._pool())
            item.executor = self._executor
            inner = self._executor.submit(item.call)
        except BrokenExecutor as error:
            self._settle(item, error, None)
            return
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            self._settle(item, error, None)
            return
        inner.add_done_callback(lambda done: self._finished(item, done))

    def _finished(self, item: _Item, inner: Future[Any]) -> None:
        if inner.cancelled():
            self._settle(item, EngineUnavailableError("the speech workers were stopped"), None)
            return
        error = inner.exception()
        self._settle(item, error, None if error else inner.result())

    def _settle(self, item: _Item, error: BaseException | None, result: Any) -> None:
        with self._changed:
            if item not in self._running:
                return  # closed meanwhile, and told so
            self._running.discard(item)
            alone, self._alone = self._alone, False
            died = isinstance(error, BrokenExecutor)
            # All calls of a broken pool say so, some when it has been replaced already.
            if died and item.executor is self._executor:
                self._broken = True
            again = died and not alone and not item.line.closed
            if again:
                self._suspects.append(item)
            self._changed.notify_all()
        if again:
            return
        if error is None:
            item.future.set_result(result)
        else:
            _fail(item.future, error)

    def _replace(self) -> None:
        """Let the workers go; the next call starts new ones."""
        entered, self._stack, self._executor = self._stack, ExitStack(), None
        give_up(entered)


class _Share(Executor):
    """What one job sees of a shared pool."""

    def __init__(self, pool: SharedPool, line: _Line) -> None:
        self._shared = pool
        self._line = line

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a call wait for its turn."""
        return self._shared.submit(self._line, _Call(fn, args, kwargs))


@dataclass(frozen=True)
class _Call:
    """A call with its arguments; travels to workers, as a closure could not."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __call__(self) -> Any:
        return self.fn(*self.args, **self.kwargs)


def _fail(future: Future[Any], error: BaseException) -> None:
    if not future.done() and (future.running() or future.set_running_or_notify_cancel()):
        future.set_exception(error)
