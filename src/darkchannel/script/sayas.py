"""What ``say-as`` makes of a text, in Brazilian Portuguese and English.

The result is the text in the one written form that every engine reads as meant: letters apart,
months in words, units after their numbers.  Plain numbers stay in figures; turning those into
words is what engines are good at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from darkchannel.script import hygiene

_ROMAN = re.compile(r"(?=.)M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?:\s*[:hH.]\s*(?P<minute>\d{2})?(?:\s*(?:[:m]|min)\s*(?P<second>\d{2})?)?)?"
    r"\s*s?\s*(?P<half>[ap])?\.?\s*(?:m\.?)?",
    re.IGNORECASE,
)
_MONEY = re.compile(r"(?P<before>\D{0,4}?)\s*(?P<amount>\d[\d.,\s]*\d|\d)\s*(?P<after>\D{0,4})")


class _Words(NamedTuple):
    """What a language needs: its marks in numbers, and words."""

    point: str
    thousands: str
    date_order: str
    minus: str
    joint: str
    symbols: dict[str, str]
    months: tuple[str, ...]
    currencies: dict[str, tuple[str, str, str, str]]


_PORTUGUESE = _Words(
    point=",",
    thousands=".",
    date_order="dmy",
    minus="menos",
    joint="e",
    symbols={
        ".": "ponto",
        ",": "vírgula",
        "-": "hífen",
        "_": "sublinhado",
        "@": "arroba",
        "/": "barra",
        "+": "mais",
        "#": "cerquilha",
        "*": "asterisco",
        "&": "e comercial",
        "%": "por cento",
        "$": "cifrão",
        ":": "dois-pontos",
    },
    months=(
        "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto",
        "setembro", "outubro", "novembro", "dezembro",
    ),
    currencies={
        "R$": ("real", "reais", "centavo", "centavos"),
        "BRL": ("real", "reais", "centavo", "centavos"),
        "US$": ("dólar", "dólares", "centavo", "centavos"),
        "USD": ("dólar", "dólares", "centavo", "centavos"),
        "$": ("dólar", "dólares", "centavo", "centavos"),
        "€": ("euro", "euros", "centavo", "centavos"),
        "EUR": ("euro", "euros", "centavo", "centavos"),
        "£": ("libra", "libras", "penny", "pence"),
        "GBP": ("libra", "libras", "penny", "pence"),
    },
)  # fmt: skip

_ENGLISH = _Words(
    point=".",
    thousands=",",
    date_order="mdy",
    minus="minus",
    joint="and",
    symbols={
        ".": "dot",
        ",": "comma",
        "-": "dash",
        "_": "underscore",
        "@": "at",
        "/": "slash",
        "+": "plus",
        "#": "hash",
        "*": "star",
        "&": "and",
        "%": "percent",
        "$": "dollar",
        ":": "colon",
    },
    months=(
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    currencies={
        "$": ("dollar", "dollars", "cent", "cents"),
        "US$": ("dollar", "dollars", "cent", "cents"),
        "USD": ("dollar", "dollars", "cent", "cents"),
        "€": ("euro", "euros", "cent", "cents"),
        "EUR": ("euro", "euros", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
        "GBP": ("pound", "pounds", "penny", "pence"),
        "R$": ("real", "reais", "centavo", "centavos"),
        "BRL": ("real", "reais", "centavo", "centavos"),
    },
)  # fmt: skip


def say_as(kind: str, form: str, text: str, language: str) -> str | None:
    """What to say for ``<say-as interpret-as=kind format=form>text</say-as>``.

    Args:
        kind: ``cardinal``, ``ordinal``, ``characters``, ``digits``, ``date``, ``time``,
            ``telephone``, ``currency``, or another name of one of these.
        form: for dates, the order of its parts, such as ``dmy``.
        text: the element's content.
        language: BCP 47 tag; Portuguese and English are known.

    Returns:
        The words, or None when the kind, the language or the text is not understood.
    """
    reading = _READINGS.get(kind.strip().lower())
    primary = language.lower().split("-")[0]
    words = {"pt": _PORTUGUESE, "en": _ENGLISH}.get(primary)
    text = hygiene.clean(text)
    if reading is None or words is None or not text:
        return None
    if words is _ENGLISH and not language.lower().startswith("en-us") and len(language) > 2:
        words = words._replace(date_order="dmy")
    return reading(text, form.strip().lower(), words) or None


def _cardinal(text: str, _: str, words: _Words) -> str | None:
    if _ROMAN.fullmatch(text):
        return str(_roman(text))
    sign, number = "", text
    if text[0] in "-−":
        sign, number = f"{words.minus} ", text[1:].lstrip()
    figure = _figure(number.removeprefix("+"), words)
    return None if figure is None else sign + words.point.join(filter(None, figure))


def _figure(text: str, words: _Words) -> tuple[str, str] | None:
    """Digits before and after the decimal mark."""
    point, thousands = re.escape(words.point), re.escape(words.thousands)
    match = re.fullmatch(
        rf"(\d{{1,3}}(?:[ {thousands}]\d{{3}})+|\d+)(?:{point}(\d+))?", text.strip()
    )
    if match is None:
        return None
    return match[1].replace(words.thousands, "").replace(" ", ""), match[2] or ""


def _ordinal(text: str, _: str, words: _Words) -> str | None:
    if _ROMAN.fullmatch(text):
        return _as_ordinal(_roman(text), words, feminine=False)
    match = re.fullmatch(r"(\d{1,6})\.?(º|°|ª|o|a|st|nd|rd|th)?\.?", text, re.IGNORECASE)
    if match is None:
        return None
    return _as_ordinal(int(match[1]), words, feminine=match[2] in {"ª", "a"})


def _as_ordinal(number: int, words: _Words, *, feminine: bool) -> str:
    if words is _PORTUGUESE:
        return f"{number}{'ª' if feminine else 'º'}"
    teen = number % 100 in {11, 12, 13}
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _characters(text: str, _: str, words: _Words) -> str | None:
    said = [words.symbols.get(letter, letter.upper()) for letter in text if letter != " "]
    return ", ".join(said)


def _digits(text: str, _: str, __: _Words) -> str | None:
    return " ".join(letter for letter in text if letter.isdecimal()) or None


def _telephone(text: str, _: str, words: _Words) -> str | None:
    groups = [" ".join(group) for group in re.findall(r"\d+", text)]
    if not groups:
        return None
    plus = f"{words.symbols['+']} " if text.startswith("+") else ""
    return plus + ", ".join(groups)


def _date(text: str, form: str, words: _Words) -> str | None:
    parts = re.findall(r"\d+", text)
    order = form or _date_order(parts, words)
    if (
        not parts
        or len(parts) != len(order)
        or not set(order) <= set("dmy")
        or len(set(order)) != len(order)
    ):
        return None
    found = dict(zip(order, parts, strict=True))
    day, month, year = (found.get(part) for part in "dmy")
    if month is not None and not 1 <= int(month) <= 12:
        return None
    if day is not None and not 1 <= int(day) <= 31:
        return None
    name = words.months[int(month) - 1] if month else ""
    if words is _PORTUGUESE:
        said = [str(int(day)) if day and int(day) > 1 else "1º" if day else "", name, year or ""]
        return " de ".join(filter(None, said))
    said = [name, _as_ordinal(int(day), words, feminine=False) if day else ""]
    first = " ".join(filter(None, said))
    return (", " if day else " ").join(filter(None, [first, year or ""]))


def _date_order(parts: list[str], words: _Words) -> str:
    """The usual order of as many parts; a part of four digits is a year."""
    if parts and len(parts[0]) == 4:
        return "ymd"[: len(parts)]
    if len(parts) == 2 and len(parts[1]) == 4:
        return "my"
    return words.date_order[: len(parts)] if len(parts) > 1 else ""


def _time(text: str, _: str, words: _Words) -> str | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    half = (match["half"] or "").lower()
    if hour > (12 if half else 24) or minute > 59 or second > 59:
        return None
    if words is _ENGLISH:
        said = f"{hour}:{minute:02d}" if minute or not half else str(hour)
        return f"{said} {half}.m." if half else said
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    amounts = ((hour, "hora"), (minute, "minuto"), (second, "segundo"))
    named = [
        f"{amount} {unit if amount == 1 else unit + 's'}"
        for amount, unit in amounts
        if amount or unit == "hora"
    ]
    return " e ".join(filter(None, [", ".join(named[:-1]), named[-1]]))


def _currency(text: str, _: str, words: _Words) -> str | None:
    match = _MONEY.fullmatch(text)
    if match is None:
        return None
    unit = (match["before"].strip() or match["after"].strip()).upper()
    figure = _figure(match["amount"], words)
    if unit not in words.currencies or figure is None or len(figure[1]) > 2:
        return None
    one, many, cent, cents = words.currencies[unit]
    whole, small = int(figure[0]), int(figure[1].ljust(2, "0"))
    said = [f"{whole} {one if whole == 1 else many}"] if whole or not small else []
    if small:
        said.append(f"{small} {cent if small == 1 else cents}")
    return f" {words.joint} ".join(said)


def _roman(text: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in text]
    following = [*values[1:], 0]
    return sum(-a if a < b else a for a, b in zip(values, following, strict=True))


_READINGS: dict[str, Callable[[str, str, _Words], str | None]] = {
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "characters": _characters,
    "spell-out": _characters,
    "verbatim": _characters,
    "digits": _digits,
    "date": _date,
    "time": _time,
    "telephone": _telephone,
    "currency": _currency,
}
