"""The books: every character of the input is spoken or left out for a named reason."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from darkchannel.errors import DarkChannelError
from darkchannel.models import Span, Unspoken
from darkchannel.script import hygiene


def complete(
    text: str, spoken: Iterable[Span], left_out: Iterable[Unspoken]
) -> tuple[Unspoken, ...]:
    """Add what stands between: the blanks that neither an utterance nor a reason covers.

    Args:
        text: the input.
        spoken: what utterances cover.
        left_out: what has a reason already.
    """
    found = list(left_out)
    covered = sorted([*spoken, *(unspoken.span for unspoken in found)])
    place = 0
    for span in [*covered, Span(len(text), len(text))]:
        if span.start > place:
            found += (
                Unspoken(Span(start, end), reason)
                for start, end, reason in hygiene.gap_reasons(text, place, span.start)
            )
        place = max(place, span.end)
    return in_order(found)


def in_order(left_out: Iterable[Unspoken]) -> tuple[Unspoken, ...]:
    """Sorted, with neighbours of one reason joined."""
    joined: list[Unspoken] = []
    for unspoken in sorted(left_out, key=attrgetter("span")):
        last = joined[-1] if joined else None
        if last and last.reason == unspoken.reason and last.span.end == unspoken.span.start:
            joined[-1] = Unspoken(Span(last.span.start, unspoken.span.end), last.reason)
        else:
            joined.append(unspoken)
    return tuple(joined)


def check(characters: int, spoken: Iterable[Span], left_out: Iterable[Unspoken]) -> None:
    """Make sure that both together cover the input exactly once.

    Raises:
        DarkChannelError: they do not; a defect of this program, which must not go unnoticed.
    """
    place = 0
    for span in sorted([*spoken, *(unspoken.span for unspoken in left_out)]):
        if span.start != place or span.end <= place:
            break
        place = span.end
    if place != characters:
        raise DarkChannelError(
            f"character {place} of the input is not accounted for exactly once",
            remedy="this is a defect: report it with the text that caused it",
        )
