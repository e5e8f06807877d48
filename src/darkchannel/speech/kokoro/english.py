"""What espeak-ng reads wrongly in English, rewritten in words.

It reads years as thousands ("one thousand eight hundred eighty-eight") and "$5.50" as "dollar
five point five zero"; and the full stop of "Mr." would end a clause.
"""

from __future__ import annotations

import re

_TITLE = re.compile(
    r"(?<!\w)(Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr|Capt|Col|Gen|Lt|Sgt|Rev|Hon|vs|No)\.(?=\s)"
)
_INITIAL = re.compile(r"(?<!\w)([A-Z])\.(?=\s?[A-Z])")
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}
_MONEY = re.compile(
    r"(?P<sign>[$£€])\s?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<cents>\d{2})(?!\d))?"
    r"(?P<scale>(?:\.\d+)?\s(?:thousand|million|billion)\b)?"
)
_YEAR = re.compile(r"(?<![\w.,$£€-])(?P<century>1[1-9])(?P<year>\d{2})(?![\w%]|[.,]\d)")


def read_out(text: str) -> str:
    """The same text with figures and titles in words where espeak-ng misreads them.

    Args:
        text: NFC, with one kind of dash and apostrophe.
    """
    text = _INITIAL.sub(r"\1 ", _TITLE.sub(r"\1", text))
    return _MONEY.sub(_money, _YEAR.sub(_year, text))


def _money(found: re.Match[str]) -> str:
    one, many, cent, cents_name = _CURRENCIES[found["sign"]]
    whole, cents = found["whole"], int(found["cents"] or 0)
    if found["scale"] is not None:
        return f"{whole}{found['scale']} {many}"
    words = [] if whole == "0" and cents else [f"{whole} {one if whole == '1' else many}"]
    if cents:
        words.append(f"{cents} {cent if cents == 1 else cents_name}")
    return " and ".join(words)


def _year(found: re.Match[str]) -> str:
    century, year = found["century"], int(found["year"])
    if year == 0:
        return f"{century} hundred"
    return f"{century} {'oh ' if year < 10 else ''}{year}"
