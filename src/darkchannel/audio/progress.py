"""Progress of work that has several passes and may have to repeat one."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """Tells the share of the work that is done, from 0 to 1, never less than before.

    Args:
        tell: called with it; None means that nobody listens.
    """

    def __init__(self, tell: Callable[[float], None] | None) -> None:
        self._tell = tell
        self._told = 0.0

    def stage(self, begin: float, end: float, amount: float) -> Callable[[float], None]:
        """What a pass is to call with how much of its ``amount`` is done.

        Args:
            begin: share of the whole work before this pass.
            end: share after it.
            amount: all there is to do in this pass, in any unit.
        """

        def done(so_far: float) -> None:
            self.reach(begin + (end - begin) * min(1.0, so_far / amount))

        return done

    def reach(self, share: float) -> None:
        """Tell the share, unless as much was told already."""
        if self._tell is not None and share > self._told:
            self._told = share
            self._tell(share)
