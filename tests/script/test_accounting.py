"""Every character of the input is spoken or left out for a named reason, exactly once."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from darkchannel.errors import DarkChannelError, ScriptError
from darkchannel.models import Plan, Span, Unspoken
from darkchannel.script import accounting, read_script
from tests.script.conftest import Planner

thorough = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

AWKWARD = [
    *" \t\n\r\x0b\x0c\x00\x1f\x85\xa0\u2028\u2029\u200b\u200d\u00ad\ufeff",
    *".!?…,;:—-\"'”“»«()[]*#_",
    *"aÁeéçZ09ªºΩ中가ᄀ\u1161\u11a8😀\u0301\u0303\u0327½",
    "\r\n",
    "\n\n",
    "Sr. ",
    "Capítulo 3",
    "# Título",
    "* * *",
    "R$ 1.250,00 ",
    "palavra ",
]
awkward_text = st.lists(st.sampled_from(AWKWARD), max_size=40).map("".join)
any_text = st.one_of(awkward_text, st.text(st.characters(exclude_categories=["Cs"]), max_size=80))


def assert_partition(plan: Plan, text: str) -> None:
    """The chunks' spans and the unspoken spans follow each other without gap or overlap."""
    assert plan.characters == len(text)
    spans = sorted(
        [*(span for chunk in plan.chunks for span in chunk.spans)]
        + [unspoken.span for unspoken in plan.unspoken]
    )
    place = 0
    for span in spans:
        assert span.start == place
        assert span.end > span.start
        place = span.end
    assert place == len(text)
    said = [span for chunk in plan.chunks for span in chunk.spans]
    assert said == sorted(said)
    assert all(chunk.spans for chunk in plan.chunks)
    assert all(unspoken.reason for unspoken in plan.unspoken)


def letters_of(text: str) -> list[str]:
    """Letters and digits without their accents, which invisible characters may part from them."""
    return [c for c in unicodedata.normalize("NFD", text) if c.isalnum()]


def assert_says(plan: Plan, text: str) -> None:
    """Every letter and digit of the text is spoken, in order, and no other."""
    spoken = "".join(chunk.spoken for chunk in plan.chunks)
    assert letters_of(spoken) == letters_of(text)


def assert_clean(plan: Plan) -> None:
    """What is spoken is NFC on one line, without controls or double spaces."""
    for chunk in plan.chunks:
        for utterance in chunk.utterances:
            spoken = utterance.spoken
            assert unicodedata.is_normalized("NFC", spoken)
            assert spoken == spoken.strip()
            assert "  " not in spoken
            assert not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in spoken)
            assert not any(c in "\u200b\u00ad\ufeff\u200d" for c in spoken)
            assert any(c.isalnum() for c in spoken)


@thorough
@given(text=any_text, limit=st.sampled_from([3, 20, 510]))
@example(text="e\u200b\u0301 a", limit=510)
@example(text="pala\u00ad\nvra", limit=510)
def test_plain_text_is_accounted_for(plan_text: Planner, text: str, limit: int) -> None:
    """Whatever the text and however small the engine's limit, nothing is lost or said twice."""
    try:
        plan = plan_text(text, reading={"ssml": False}, max_tokens=limit, target=(2, limit))
    except ScriptError:
        return
    assert_partition(plan, text)
    assert_clean(plan)
    assert all(chunk.tokens <= limit for chunk in plan.chunks)
    assert Plan.from_json(plan.to_json()) == plan


@thorough
@given(text=any_text)
def test_plain_text_is_said_completely(plan_text: Planner, text: str) -> None:
    """The letters and digits of the chunks are those of the text, in order."""
    if not any(c.isalnum() for c in unicodedata.normalize("NFC", text)):
        with pytest.raises(ScriptError):
            plan_text(text, reading={"ssml": False})
        return
    assert_says(plan_text(text, reading={"ssml": False}), text)


ELEMENTS = ["p", "s", "emphasis", "foo", "desc", "audio", "title", "lang", "prosody", "voice"]
OPENINGS = {
    "lang": '<lang xml:lang="en-US">',
    "prosody": '<prosody rate="fast">',
    "voice": '<voice name="pm_alex">',
}
EMPTY = [
    '<break time="300ms"/>',
    "<break/>",
    '<mark name="chapter:Um"/>',
    '<mark name="chapter"/>',
    '<mark name="x"/>',
    "<!-- nada -->",
    "<?nada?>",
    '<phoneme ph="ola"/>',
    '<sub alias="Fulano de Tal">F.</sub>',
    '<sub alias="Sr. Fulano. Ele"> F. <b/>x </sub>',
    '<phoneme alphabet="ipa" ph="tomate"> toma<!-- x -->te</phoneme>',
    '<say-as interpret-as="characters">CPF</say-as>',
    '<say-as interpret-as="foo">CPF</say-as>',
    "<![CDATA[ <a> & ]]>",
    "&amp;",
    "&#233;",
    "&#x301;",
    "&#32;",
]
plain_xml = awkward_text.map(
    lambda text: "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "<&"))
)
ssml_body = st.recursive(
    st.one_of(plain_xml, st.sampled_from(EMPTY)),
    lambda inner: st.builds(
        lambda name, children: f"{OPENINGS.get(name, f'<{name}>')}{''.join(children)}</{name}>",
        st.sampled_from(ELEMENTS),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


@thorough
@given(bodies=st.lists(ssml_body, min_size=1, max_size=5), limit=st.sampled_from([40, 510]))
def test_ssml_is_accounted_for(plan_text: Planner, bodies: list[str], limit: int) -> None:
    """Tags, comments, references and substitutions are all in the account."""
    text = f"<speak>{''.join(bodies)}</speak>\n"
    try:
        plan = plan_text(text, max_tokens=limit, target=(5, limit))
    except ScriptError as error:
        assert "nothing to say" in error.message  # noqa: PT017
        return
    assert_partition(plan, text)
    assert_clean(plan)


@thorough
@given(parts=st.lists(st.tuples(plain_xml, st.sampled_from(["emphasis", "foo", "p", "s"]))))
def test_ssml_is_said_completely(plan_text: Planner, parts: list[tuple[str, str]]) -> None:
    """The letters outside markup are spoken, in order, whatever tags surround them."""
    words = [f"{word} x" for word, _ in parts]
    text = "".join(f"<{tag}>{word}</{tag}>" for word, (_, tag) in zip(words, parts, strict=True))
    if parts:
        assert_says(plan_text(f"<speak>{text}</speak>"), " ".join(words))


@thorough
@given(any_text, st.sampled_from(["<speak>{}</speak>", "<speak>{}", "<?xml {}", "<speak {}/>"]))
def test_no_text_breaks_the_reader_of_ssml(text: str, around: str) -> None:
    """Malformed input is a ScriptError with a line, never anything else."""
    document = around.replace("{}", text)
    try:
        script = read_script(document, ssml=True)
    except ScriptError:
        return
    assert script.characters == len(document)


def test_tags_comments_and_spaces_have_their_own_reasons() -> None:
    """Each kind of thing that is not spoken is told from the others."""
    text = "<speak><!-- oi --><?x y?><p>Olá.</p>\n<p>Tchau.</p><desc>foto</desc></speak>"
    reasons = {text[slice(*span)]: reason for span, reason in read_script(text).unspoken}
    assert reasons == {
        "<speak>": "markup",
        "<!-- oi -->": "comment",
        "<?x y?>": "processing instruction",
        "<p>": "markup",
        "</p>": "markup",
        "\n": "whitespace",
        "</p><desc>": "markup",
        "foto": "description",
        "</desc></speak>": "markup",
    }


def test_text_without_letters_is_left_out_as_punctuation_or_with_a_warning() -> None:
    """Dots are punctuation; a lone emoji is doubtful and is said so."""
    script = read_script("Olá.\n\n...\n\n😀\n\nTchau.")
    reasons = {script_reason for _, script_reason in script.unspoken}
    assert reasons == {"whitespace", "punctuation", "nothing to say"}
    assert [warning.line for warning in script.warnings] == [5]


def test_a_byte_order_mark_and_controls_have_a_reason() -> None:
    """Invisible characters around the text are accounted for as control characters."""
    text = "\ufeff\x01Olá.\x0c"
    found = [(text[slice(*span)], reason) for span, reason in read_script(text).unspoken]
    assert found == [("\ufeff\x01", "control character"), ("\x0c", "control character")]


@pytest.mark.parametrize("spans", [[(0, 3)], [(0, 3), (2, 6)], [(0, 3), (4, 6)], [(0, 7)]])
def test_a_wrong_account_is_a_defect_that_is_noticed(spans: list[tuple[int, int]]) -> None:
    """Gaps, overlaps and a wrong end are refused."""
    with pytest.raises(DarkChannelError, match="accounted"):
        accounting.check(6, [Span(*span) for span in spans], [])


def test_neighbours_of_one_reason_are_joined() -> None:
    """The account is as short as it can be."""
    pieces = [Unspoken(Span(2, 3), "markup"), Unspoken(Span(0, 2), "markup")]
    assert accounting.in_order(pieces) == (Unspoken(Span(0, 3), "markup"),)
