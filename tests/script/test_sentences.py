"""Where sentences end: a table of cases people actually write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.script import sentences

# Each case is the paragraph with a bar where a sentence ends.
PORTUGUESE = [
    "Ela chegou. | Ele saiu.",
    "Ela chegou! | Ele saiu? | Ninguém viu.",
    "O Sr. Almeida e a Sra. Prates vieram. | Depois saíram.",
    "A Dra. Lúcia falou com o Prof. Nunes. | Ele ouviu.",
    "D. Pedro I. | Ele reinou.",
    "D. Maria chegou cedo.",
    "O Exmo. Sr. Dr. Juiz não veio.",
    "V. Exa. sabe disso.",
    "Trouxe frutas, p. ex. bananas, e pão.",
    "Trouxe frutas, p.ex. bananas.",
    "Veja a pág. 30 e as págs. 12 a 15.",
    "Veja o cap. 3. | Depois volte.",
    "Veja o cap. XII do livro.",
    "Comprou pão, leite, etc. | Voltou tarde.",
    "Comprou pão, leite etc. e voltou.",
    "Mora na Av. Brasil, n. 5, ap. 12.",
    "Mora na R. Augusta.",
    "Mora no Jd. América há anos.",
    "A Silva & Cia. Ltda. fechou. | Ninguém soube.",
    "Trabalha na Petróleo S.A. Ele gosta.".replace("S.A. ", "S.A. | "),
    "Trabalha na Horizonte S. A. de dia.",
    "Isso foi em 300 a.C. na Grécia.",
    "Isso foi em 300 a.C. | Depois veio Roma.",
    "Isso foi em 300 a. C. na Grécia.",
    "J. R. R. Tolkien escreveu muito. | Ele fumava.",
    "O livro de J. Prates saiu.",
    "Escolheu o plano B. | Ele sabia.",
    "Custa 3.5 no painel. | Caro.",
    "Custou R$ 1.250,00. | Paguei.",
    "São 1.234,56 metros. | É longe.",
    "Chegou às 10h30. | Saiu às 11.",
    "Chegou às 10. | Vinte pessoas viram.",
    "Foi em 1999. | Depois parou.",
    "Foi o 1.º colocado. | A 2.ª perdeu.",
    "Foi o 1º. | A 2ª veio depois.",
    "1. Abra a porta. | 2. Entre.",
    "IV. O retorno começa.",
    "Não sei... talvez amanhã.",
    "Não sei… talvez amanhã.",
    "Não sei... | Talvez amanhã.",
    "Não sei… | Talvez amanhã.",
    "Três... 2... 1... | Agora!",
    "Ele foi . . . e voltou.",
    "Ele parou. | [...] Depois voltou.",
    "Espere!... | Não vá.",
    "O quê?! | Não pode ser.",
    "Ah! que susto.",
    "— Fulano disse — não vou.",
    "— Você vem? — perguntou ela. | — Não sei.",
    "— Não vou. — disse ele. | — Nunca.",
    "— Não! — gritou. | — Nunca! | — Ele calou.",
    "- Você vem? - perguntou ela.",
    "“Você vem?” perguntou ela.",
    "“Você vem?” | Ela riu.",
    "Ele disse: “Vou.” | E foi.",
    'Ele disse: "Vou." | E foi.',
    "Ele disse. | “Vou”, repetiu.",
    "« Vou. » | E foi.",
    "(Ele saiu.) | Depois voltou.",
    "Ele saiu (veja a fig. 3.) e voltou.",
    "Veja https://exemplo.com.br/a.html?b=1. | Depois volte.",
    "Escreva para fulano.tal@exemplo.com. | Ele responde.",
    "O arquivo notas.txt sumiu. | Achei.",
    "Nasceu em 12 de jan. 1980 em Belém.",
    "O prof. Nunes e a profa. Lia vieram.",
    "Leu Mrs. Prates e Mr. Nunes. | Gostou.",
    "O gen. Prates chegou. | Saiu.",
    "O Gen. Prates chegou com o Cel. Nunes.",
    "Visitou o Pe. Antônio e a Sta. Clara.",
    "Fim.[1] | Depois começou.",
    "Ele riu. 😀 | Ela também.".replace(" 😀 | ", " | 😀 "),
    "Fim. ***",
    "Vamos, ok? | Certo. | Então tá.",
    "O time F.C. venceu de novo.",
    "Disse o min. da guerra.",
    "eu fui. ela ficou.",
]
ENGLISH = [
    "He left. | She stayed.",
    "Mr. Brown met Mrs. Green and Ms. Gray. | They talked.",
    "Dr. Stone lives on Elm St. near the park.",
    "Dr. Stone lives on Elm St. | He likes it.",
    "St. Paul was there.",
    "The U.S. Army came. | It left.",
    "He lives in the U.S. | She does not.",
    "Bring fruit, e.g. apples, i.e. food.",
    "Cats vs. dogs. | Nobody won.",
    "See No. 5 and Fig. 3. | Then stop.",
    "He said no. | I left.",
    "No. | I will not.",
    "It was 10 p.m. | The town slept.",
    "It was 10 p.m. when he came.",
    "Mine cost $3.50. | Yours more.",
    "J. R. R. Tolkien wrote it. | We read it.",
    "Was it you and I? | Yes.",
    "He is taller than I. | She is not.",
    "“Go!” he said. | “Now!” | She went.",
    "Wait... what?",
    "Wait... | What?",
    "Acme Inc. makes it. | So does Foo Ltd. in Leeds.",
    "John Brown Jr. spoke. | Then he sat.",
    "He has a Ph.D. in law.",
    "Smith et al. (2020) agree. | We do too.",
    "He took off his cap. | Ten men saw it.",
    "There were ten. | Ten stayed.",
]


@pytest.mark.parametrize(
    ("language", "marked"),
    [("pt-BR", case) for case in PORTUGUESE] + [("en-US", case) for case in ENGLISH],
)
def test_sentences_end_where_readers_end_them(language: str, marked: str) -> None:
    """Stops end sentences; abbreviations, initials, figures and dialogue do not."""
    text = marked.replace("| ", "")
    found = [text[start:end] for start, end in sentences.split(text, language)]
    assert found == marked.split(" | ")


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('aA1.!?…—"”») ([😀'), max_size=60), st.sampled_from(["pt", "en"]))
def test_sentences_cover_all_but_the_spaces_between(text: str, language: str) -> None:
    """Nothing but spaces lies outside the sentences, and each has a letter or digit."""
    text = " ".join(text.split())
    found = list(sentences.split(text, language))
    edges = zip([(0, 0), *found], [*found, (len(text), 0)], strict=True)
    outside = [text[after:before] for (_, after), (before, _) in edges]
    assert not "".join(outside).strip()
    if any(c.isalnum() for c in text):
        assert all(any(c.isalnum() for c in text[start:end]) for start, end in found)
