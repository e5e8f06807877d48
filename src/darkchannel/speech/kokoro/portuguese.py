"""What espeak-ng reads wrongly in Brazilian Portuguese, rewritten in words.

espeak-ng reads plain numbers, decimals, ordinals, per cent and Roman numerals well.  It spells
"Sr." and "km", reads "R$ 5,50" as "real dólar", "15h30" as "quinze agá trinta", "2 horas" as
"dois horas" and the hyphen of "10-12" as "minus"; those are rewritten here.
"""

from __future__ import annotations

import re

from darkchannel.speech.kokoro.numerals import LIMIT, cardinal

_ABBREVIATIONS = {
    "Sr.": "senhor", "Srs.": "senhores", "Sra.": "senhora", "Sras.": "senhoras",
    "Srta.": "senhorita", "Dr.": "doutor", "Drs.": "doutores", "Dra.": "doutora",
    "Prof.": "professor", "Profa.": "professora", "Exmo.": "excelentíssimo",
    "Exma.": "excelentíssima", "Ilmo.": "ilustríssimo", "Ilma.": "ilustríssima",
    "Sto.": "santo", "Sta.": "santa", "Av.": "avenida", "Cia.": "companhia",
    "Ltda.": "limitada", "Jr.": "júnior", "Cel.": "coronel", "Cap.": "capitão",
    "Gen.": "general", "Ten.": "tenente", "Sgt.": "sargento", "Eng.": "engenheiro",
    "pág.": "página", "págs.": "páginas", "tel.": "telefone", "art.": "artigo",
    "séc.": "século", "fl.": "folha", "vol.": "volume", "ed.": "edição",
    "a.C.": "antes de Cristo", "d.C.": "depois de Cristo", "p. ex.": "por exemplo",
    "V. Exa.": "vossa excelência", "Pe.": "padre", "etc.": "etcétera",
}  # fmt: skip
_KEEPS_STOP = frozenset({"etc.", "Jr.", "Ltda.", "Cia.", "a.C.", "d.C."})

_CURRENCIES = {
    "R$": ("real", "reais", False, "centavo"),
    "US$": ("dólar", "dólares", False, "centavo"),
    "€": ("euro", "euros", False, "centavo"),
    "£": ("libra", "libras", True, "centavo"),
}

_UNITS = {
    "km/h": ("quilômetro por hora", "quilômetros por hora"),
    "km²": ("quilômetro quadrado", "quilômetros quadrados"),
    "m²": ("metro quadrado", "metros quadrados"),
    "km": ("quilômetro", "quilômetros"),
    "cm": ("centímetro", "centímetros"),
    "mm": ("milímetro", "milímetros"),
    "m": ("metro", "metros"),
    "kg": ("quilo", "quilos"),
    "mg": ("miligrama", "miligramas"),
    "g": ("grama", "gramas"),
    "ml": ("mililitro", "mililitros"),
    "°C": ("grau Celsius", "graus Celsius"),
    "ºC": ("grau Celsius", "graus Celsius"),
    "min": ("minuto", "minutos"),
}

_MONTHS = (
    "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro",
    "outubro", "novembro", "dezembro",
)  # fmt: skip

_NUMBER = r"\d{1,3}(?:\.\d{3})+|\d+"
_AMOUNT = rf"(?P<whole>{_NUMBER})(?:,(?P<cents>\d{{2}})(?!\d))?"

_ABBREVIATION = re.compile(
    r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(_ABBREVIATIONS, key=len, reverse=True))) + ")"
    r"(?!\w)(?P<end>\s*$)?"
)
_INITIAL = re.compile(r"(?<!\w)([A-Z])\.(?=\s?[A-Z])")
_MONEY = re.compile(
    rf"(?<!\w)(?P<sign>{'|'.join(map(re.escape, _CURRENCIES))})\s?{_AMOUNT}"
    r"(?P<scale>\s(?:milhão|milhões|bilhão|bilhões|mil)(?!\w))?"
)
_TIME = re.compile(
    r"(?<![\d,.:])(?P<hour>[01]?\d|2[0-4])\s?h\s?(?P<minute>[0-5]\d)?(?:\s?min)?(?!\w)"
)
# With a colon it may also be a verse or a score; after these words it is the time of day.
_CLOCK = re.compile(
    r"(?<!\w)(?P<at>(?:às|as|das|até|desde) )(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:])",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?<![\d/])(?P<day>[0-3]?\d)/(?P<month>[01]?\d)/(?P<year>[12]\d{3})(?![\d/])")
_RANGE = re.compile(r"(?<![\d—-])(\d{1,4})[—-](\d{1,4})(?![\d—-])")
_DIGIT = re.compile(r"\d")
_DIGIT_HYPHEN = re.compile(r"(?<=\d)-(?=\d)")
_UNIT = re.compile(
    rf"(?<![\d,.])(?P<number>(?:{_NUMBER})(?:,\d+)?)\s?"
    rf"(?P<unit>{'|'.join(map(re.escape, _UNITS))})(?![\w/²³])"
)
_COUNTED = re.compile(rf"(?<![\w,./$-])(?P<number>{_NUMBER})(?P<mil> mil)? (?P<noun>[^\W\d_]+)")

_LONE_LETTERS = {
    "e": "i", "o": "ʊ", "é": "ˈɛ", "à": "a", "á": "ˈa", "ê": "ˈe", "í": "ˈi", "ó": "ˈɔ",
    "ô": "ˈo", "ú": "ˈu", "ã": "ˈɐ\u0303", "õ": "ˈo\u0303",
}  # fmt: skip
_LAST_LETTERS = {" e": ("ˈɛ", "i"), " o": ("ˈɔ", "ʊ"), " a": ("ˈa", "a")}

# Words in -a that are masculine or no nouns, and feminine nouns that do not end in -a.
_NOT_FEMININE = frozenset({
    "dia", "mapa", "problema", "tema", "sistema", "programa", "poema", "drama", "planeta",
    "quilograma", "grama", "miligrama", "telegrama", "cinema", "clima", "idioma", "fantasma",
    "enigma", "esquema", "lema", "trauma", "cometa", "poeta", "diploma", "dilema", "teorema",
    "panorama", "aroma", "carma", "prisma", "coma", "pijama", "para", "cada", "fora", "ora",
    "embora", "contra", "pela", "essa", "esta", "aquela", "minha", "tua", "sua", "nossa", "era",
    "ela", "agora", "nada", "seja", "mesma", "numa", "duma", "dela", "nela", "toda",
})  # fmt: skip
_FEMININE_REST = frozenset({
    "mulher", "mulheres", "vez", "vezes", "mãe", "mães", "mão", "mãos", "noite", "noites",
    "tarde", "tardes", "parte", "partes", "voz", "vozes", "luz", "luzes", "flor", "flores",
    "irmã", "irmãs", "manhã", "manhãs", "lã", "maçã", "maçãs", "ordem", "ordens", "nuvem",
    "nuvens", "árvore", "árvores", "chave", "chaves", "morte", "mortes", "ponte", "pontes",
    "torre", "torres", "rede", "redes", "parede", "paredes", "frase", "frases", "classe",
    "classes", "nave", "naves", "cruz", "cruzes", "dor", "dores", "cor", "cores", "colher",
    "colheres", "lei", "leis", "tribo", "tribos", "foto", "fotos", "moto", "motos",
})  # fmt: skip
_FEMININE_ENDING = re.compile(r"(?:[çs]ões|dades?|agem|agens|tudes?|trizes?)$")


def read_out(text: str) -> str:
    """The same text with figures and abbreviations in words where espeak-ng misreads them.

    Args:
        text: NFC, with one kind of dash and apostrophe.
    """
    text = _ABBREVIATION.sub(_abbreviation, text)
    text = _INITIAL.sub(r"\1 ", text)
    if _DIGIT.search(text) is None:
        return text
    text = _MONEY.sub(_money, text)
    text = _DATE.sub(_date, text)
    text = _TIME.sub(_time, text)
    text = _CLOCK.sub(lambda found: found["at"] + _time(found), text)
    text = _UNIT.sub(_unit, text)
    text = _RANGE.sub(_range, text)
    text = _DIGIT_HYPHEN.sub(" ", text)
    return _COUNTED.sub(_counted, text)


def _abbreviation(found: re.Match[str]) -> str:
    written = found.group().rstrip()
    # At the end of the sentence its full stop is also the sentence's.
    stop = "." if found["end"] is not None and written in _KEEPS_STOP else ""
    return _ABBREVIATIONS[written] + stop


def _value(digits: str) -> int:
    return int(digits.replace(".", ""))


def _words(number: int, *, feminine: bool) -> str:
    return cardinal(number, feminine=feminine) if number < LIMIT else str(number)


def _money(found: re.Match[str]) -> str:
    one, many, feminine, cent = _CURRENCIES[found["sign"]]
    whole, cents = _value(found["whole"]), int(found["cents"] or 0)
    if found["scale"] is not None:
        of = "" if found["scale"].strip() == "mil" else " de"
        decimals = f",{found['cents']}" if found["cents"] else ""
        return f"{found['whole']}{decimals}{found['scale']}{of} {many}"
    words = []
    if whole or not cents:
        of = " de" if whole and whole % 10**6 == 0 else ""
        words.append(f"{_words(whole, feminine=feminine)}{of} {one if whole == 1 else many}")
    if cents:
        words.append(f"{cardinal(cents)} {cent if cents == 1 else cent + 's'}")
    return " e ".join(words)


def _date(found: re.Match[str]) -> str:
    day, month = int(found["day"]), int(found["month"])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return found.group()
    named = "primeiro" if day == 1 else str(day)
    return f"{named} de {_MONTHS[month - 1]} de {found['year']}"


def _time(found: re.Match[str]) -> str:
    hour = int(found["hour"])
    words = f"{cardinal(hour, feminine=True)} {'hora' if hour <= 1 else 'horas'}"
    minute = int(found["minute"] or 0)
    return f"{words} e {cardinal(minute)}" if minute else words


def _unit(found: re.Match[str]) -> str:
    one, many = _UNITS[found["unit"]]
    return f"{found['number']} {one if found['number'] == '1' else many}"


def _range(found: re.Match[str]) -> str:
    first, last = int(found[1]), int(found[2])
    years = first >= 1000 and last <= 2100
    # 1939-1945 and 10-12 are ranges; 3333-4444 is a telephone number, 3-2 a score.
    return (
        f"{first} a {last}" if first < last and (years or last < 1000) else " ".join(found.groups())
    )


def _counted(found: re.Match[str]) -> str:
    number, noun = _value(found["number"]), found["noun"].lower()
    # A plural noun must follow, or "em 1945 acaba" would be taken for something counted.
    agrees = noun.endswith("s") or noun in _FEMININE_REST if number != 1 else True
    if not (agrees and number < LIMIT and _is_feminine(noun)):
        return found.group()
    words = cardinal(number, feminine=True)
    if words == cardinal(number):
        return found.group()
    return f"{words}{found['mil'] or ''} {found['noun']}"


def _is_feminine(noun: str) -> bool:
    if noun in _FEMININE_REST or _FEMININE_ENDING.search(noun):
        return True
    singular = noun.removesuffix("s")
    return len(singular) > 2 and singular.endswith("a") and singular not in _NOT_FEMININE


def unstressed_end(text: str, sounds: str) -> str:
    """Sounds of a clause whose last word is a single letter, said as in running speech.

    At the end of a clause espeak-ng takes ``e`` and ``o`` for names of letters, with the open
    stressed vowel: "e, de repente" would become "é, de repente".  A lone accented letter it
    even spells ("é" as "e agudo").

    Args:
        text: the clause.
        sounds: its phonemes.
    """
    said = text.strip().lower()
    if len(said) == 1:
        return _LONE_LETTERS.get(said, sounds)
    stressed, plain = _LAST_LETTERS.get(said[-2:], ("", ""))
    if stressed and sounds.endswith(stressed):
        return sounds.removesuffix(stressed) + plain
    return sounds
