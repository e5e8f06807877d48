"""Cardinal numbers in Portuguese words, with their gender."""

from __future__ import annotations

_UNITS = (
    "zero", "um", "dois", "três", "quatro", "cinco", "seis", "sete", "oito", "nove", "dez",
    "onze", "doze", "treze", "catorze", "quinze", "dezesseis", "dezessete", "dezoito",
    "dezenove",
)  # fmt: skip
_TENS = (
    "vinte", "trinta", "quarenta", "cinquenta", "sessenta", "setenta", "oitenta", "noventa",
)  # fmt: skip
_HUNDREDS = (
    "cento", "duzentos", "trezentos", "quatrocentos", "quinhentos", "seiscentos", "setecentos",
    "oitocentos", "novecentos",
)  # fmt: skip
_SCALES = (("bilhão", "bilhões"), ("milhão", "milhões"), ("mil", "mil"))

LIMIT = 10**12
"""Numbers from here on have no words here."""


def cardinal(number: int, *, feminine: bool = False) -> str:
    """A number in words: ``2`` is ``dois``, or ``duas`` with a feminine noun.

    Millions and billions are masculine nouns themselves; thousands take the noun's gender.

    Raises:
        ValueError: the number is negative or not below :data:`LIMIT`.
    """
    if not 0 <= number < LIMIT:
        raise ValueError(f"{number} is not between 0 and {LIMIT}")
    if number < 1000:
        return _below_thousand(number, feminine)
    groups = [number // 1000**power % 1000 for power in (3, 2, 1)]
    words: list[str] = []
    for group, (one, many) in zip(groups, _SCALES, strict=True):
        if group == 0:
            continue
        if one == "mil":
            words.append("mil" if group == 1 else f"{_below_thousand(group, feminine)} mil")
        else:
            words.append(f"{_below_thousand(group, False)} {one if group == 1 else many}")
    rest = number % 1000
    if rest:
        # The last group is joined by "e" when it is a round hundred or has no hundreds.
        joined = rest < 100 or rest % 100 == 0
        words.append(("e " if joined else "") + _below_thousand(rest, feminine))
    return " ".join(words)


def _below_thousand(number: int, feminine: bool) -> str:
    if number == 100:
        return "cem"
    words: list[str] = []
    if number >= 100:
        hundred = _HUNDREDS[number // 100 - 1]
        words.append(hundred[:-2] + "as" if feminine and number >= 200 else hundred)
    rest = number % 100
    if rest >= 20:
        words.append(_TENS[rest // 10 - 2])
        rest %= 10
    if rest or not words:
        words.append({1: "uma", 2: "duas"}.get(rest, _UNITS[rest]) if feminine else _UNITS[rest])
    return " e ".join(words)
