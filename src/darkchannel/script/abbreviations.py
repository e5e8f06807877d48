"""Words that end in a full stop which ends no sentence, and words that often begin one.

Brazilian Portuguese and English stand side by side: translated novels have ``Mrs.`` in a
Portuguese sentence, and the few words that mean something else in the other language are kept
apart.
"""

from __future__ import annotations

from enum import Enum, auto


class Abbreviation(Enum):
    """What a word that is written with a full stop says about the sentence around it."""

    NEVER_LAST = auto()
    """Something always follows: a title before a name, ``e.g.``, ``vs.``."""

    BEFORE_NUMBER = auto()
    """It belongs to the number that follows; without one the sentence ends."""

    MAYBE_LAST = auto()
    """The sentence ends only before a word that often begins one."""


_NEVER_LAST = """
    Sr Sra Srs Sras Srta Srtas sr sra Snr Dr Dra Drs Dras dr dra Prof Profa Profª prof profa Exmo
    Exma Exmos Exmas Ilmo Ilma Revmo Rev Pe Frei Fr Ir Mons Card D Dna Sto Sta Ss
    Mr Mrs Ms Mx Messrs Mme Mlle Hon Pres Gov Sen Dep Ver Gen Cel Col Maj Cap Capt Ten Lt Cpl
    Sgt Sarg Cmte Cmdr Adm Alm Brig gen cel maj sgt Eng Enga Arq Des Amb Emb
    vs v.g p.ex p.e i.e e.g ex cf viz ca c.f q.v
"""

_BEFORE_NUMBER = """
    n no nº nos nn p pp pág págs pag pags fl fls vol vols v t tom cap caps art arts inc par § al
    fig figs tab quadro ed séc sécs sec s ch pt eq ref reg tel fone cep ap apt apto bl lt km
    jan fev abr jun jul ago nov apr aug sept oct dec est
"""

_MAYBE_LAST = """
    Av R Al Pç Pça Trav Tv Rod Estr Jd Vl Lgo Ltda Cia S.A S/A Inc Ltd Co Corp Bros
    Jr Fº Neto Ph.D M.D B.A M.A LL.D a.C d.C A.C D.C a.m p.m A.M P.M
    Exa Exas Exª obs Obs tb cit op ib id ibid loc seg segs ss trad Trad org Org orgs coord adj adv
    St Mt Ft Rd Blvd Ave Ln Sq Dept Univ Assn Est esq Esq approx
    min máx hab pop gov depto dept univ
"""

_MAYBE_LAST_ENGLISH = "Sr Gov Sen Gen Col Maj Rev"

_STARTERS_PORTUGUESE = """
    A O As Os Um Uma Uns Umas Ele Ela Eles Elas Eu Tu Você Vocês Nós Isso Isto Aquilo Esse Essa
    Este Esta Estes Estas Esses Essas Aquele Aquela Meu Minha Seu Sua Seus Suas Nosso Nossa
    Mas E Ou Porém Contudo Todavia Entretanto Portanto Assim Então Depois Antes Logo Quando
    Enquanto Se Como Porque Pois Não Sim Nem Nunca Sempre Já Ainda Agora Hoje Ontem Amanhã Aqui
    Ali Lá No Na Nos Nas Em Do Da Dos Das De Por Para Com Sem Sob Sobre Até Desde Após Foi Era
    Há Havia Tudo Todos Todas Ninguém Alguém Cada Outro Outra Quem Que Qual Onde Ao À Às Aos
"""

_STARTERS_ENGLISH = """
    The A An He She It They We You I This That These Those There Here His Her Its Their Our My
    Your But And Or So Then When While If As Because Although However After Before Now Once Not
    No Yes Never Always In On At By For From With Without To Of What Who Why How Where Which
    Is Was Were Are Had Has Did Does Do All Some Every Each One Another Nobody Someone
"""

_SHARED: dict[str, Abbreviation] = {
    **dict.fromkeys(_MAYBE_LAST.split(), Abbreviation.MAYBE_LAST),
    **dict.fromkeys(_NEVER_LAST.split(), Abbreviation.NEVER_LAST),
}
_PORTUGUESE_ONLY = frozenset({"Cap", "Ten", "Des", "Ir", "Alm", "Ver", "ex", "Al"})
_ENGLISH = {
    **{word: kind for word, kind in _SHARED.items() if word not in _PORTUGUESE_ONLY},
    **dict.fromkeys(_MAYBE_LAST_ENGLISH.split(), Abbreviation.MAYBE_LAST),
}
_NUMBERED = frozenset(_BEFORE_NUMBER.split())
# Plain English words, unlike their capitalised selves (`No. 5`).
_NOT_NUMBERED_ENGLISH = frozenset({"n", "no", "nos", "t", "s", "ap", "est", "par", "cap"})

_STARTERS = {
    "pt": frozenset(_STARTERS_PORTUGUESE.split()),
    "en": frozenset(_STARTERS_ENGLISH.split()),
}
_STARTERS_ANY = _STARTERS["pt"] | _STARTERS["en"]


def lookup(word: str, language: str) -> Abbreviation | None:
    """What is known of ``word`` (without its last full stop); None when nothing is.

    Single letters and letters with full stops between them (``U.S``, ``a.C``) count as
    abbreviations without being listed.
    """
    english = language.lower().startswith("en")
    known = (_ENGLISH if english else _SHARED).get(word)
    if known:
        return known
    if (len(word) == 1 and word.isupper()) or _dotted(word):
        return Abbreviation.MAYBE_LAST
    if word.lower() in _NUMBERED and not (english and word in _NOT_NUMBERED_ENGLISH):
        return Abbreviation.BEFORE_NUMBER
    return Abbreviation.MAYBE_LAST if len(word) == 1 and word.isalpha() else None


def _dotted(word: str) -> bool:
    letters = word.split(".")
    return len(letters) > 1 and all(len(one) <= 2 and one.isalpha() for one in letters)


def often_first(word: str, language: str) -> bool:
    """Whether ``word`` is one of those that sentences often begin with."""
    return word in _STARTERS.get(language[:2].lower(), _STARTERS_ANY)
