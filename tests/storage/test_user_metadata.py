"""Users' metadata on objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.errors import InputError
from darkchannel.storage import user_metadata

NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}", fullmatch=True)


@given(
    st.dictionaries(
        NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=4
    )
)
def test_any_text_comes_back_as_it_was(metadata: dict[str, str]) -> None:
    """Encoding is exact, and what goes over the wire is visible ASCII without blanks."""
    encoded = user_metadata.encode(metadata)
    assert user_metadata.decode(encoded) == metadata
    assert all("!" <= character <= "~" for value in encoded.values() for character in value)


def test_plain_values_look_the_same_on_the_wire() -> None:
    """Digests, numbers and lists of numbers can be read in any S3 browser."""
    plain = {"sha256": "ab12", "sentences": "0.000,1.250", "type": "audio/wav"}
    assert user_metadata.encode(plain) == plain


@pytest.mark.parametrize("name", ["", "Title", "título", "a b", "a:b", "-a", "a\n"])
def test_names_that_headers_cannot_carry_are_refused(name: str) -> None:
    """Names are lower-case ASCII: servers would fold or drop others."""
    with pytest.raises(InputError):
        user_metadata.encode({name: "x"})


def test_more_than_s3_keeps_is_refused() -> None:
    """Two kilobytes, counted as encoded, are S3's own limit."""
    user_metadata.encode({"a": "x" * 2047})
    with pytest.raises(InputError, match="2049"):
        user_metadata.encode({"a": "x" * 2048})
