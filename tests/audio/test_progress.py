"""Progress over several passes."""

from __future__ import annotations

from darkchannel.audio.progress import Progress


def test_a_repeated_pass_is_told_only_where_it_gains() -> None:
    """The share grows without a step back, also when a pass begins again."""
    told: list[float] = []
    progress = Progress(told.append)
    for _ in range(2):
        encode = progress.stage(0.5, 1.0, 100)
        for done in (0, 50, 80):
            encode(done)
    encode(100)
    progress.reach(1.0)
    assert told == [0.5, 0.75, 0.9, 1.0]


def test_nobody_has_to_listen() -> None:
    """Without a listener nothing happens."""
    Progress(None).stage(0, 1, 10)(5)
