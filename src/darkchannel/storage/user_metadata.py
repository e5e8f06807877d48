"""Users' metadata on objects: header values that survive every server and proxy.

S3 carries metadata in HTTP headers, where only ASCII is safe and runs of blanks may be folded
(they are, in the signature).  Values are therefore percent-encoded UTF-8; plain values of
letters, digits and common punctuation look the same either way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from darkchannel.errors import InputError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_PLAIN = "!#$&'()*+,-./:;=?@[]^_`{|}~"  # "%" is encoded, so that decoding is exact

MAX_BYTES = 2048
"""S3's limit on all names and encoded values of one object together."""


def encode(metadata: Mapping[str, str]) -> dict[str, str]:
    """Make header values of metadata.

    Raises:
        InputError: a name is not lower-case ASCII, or all of it is longer than 2 KiB.
    """
    encoded = {name: quote(value, safe=_PLAIN) for name, value in metadata.items()}
    for name in encoded:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"metadata name {name!r} is not allowed",
                remedy="use lower-case ASCII letters, digits and dashes",
            )
    size = sum(len(name) + len(value) for name, value in encoded.items())
    if size > MAX_BYTES:
        raise InputError(f"metadata of an object takes {size} bytes; at most {MAX_BYTES} are kept")
    return encoded


def decode(headers: Mapping[str, str]) -> dict[str, str]:
    """Read :func:`encode` back; values that others wrote plainly stay as they are."""
    return {name.lower(): unquote(value) for name, value in headers.items()}
