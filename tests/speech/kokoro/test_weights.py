"""The pinned files of Kokoro."""

from darkchannel.speech.kokoro.engine import DEFAULT_VOICES, VOICES
from darkchannel.speech.kokoro.weights import KOKORO, STYLE_ROWS, STYLE_WIDTH, voice_file


def test_every_voice_has_its_file() -> None:
    """Each voice offered is a file of the manifest, of the right size for its table."""
    sizes = {file.name: file.size for file in KOKORO.files}
    assert {sizes[voice_file(voice.name)] for voice in VOICES} == {STYLE_ROWS * STYLE_WIDTH * 4}
    assert set(DEFAULT_VOICES.values()) <= {voice.name for voice in VOICES}


def test_parts_add_up_to_their_file() -> None:
    """The sizes of the parts are the size of the whole, and every digest is one."""
    for file in KOKORO.files:
        assert sum(part.size for part in file.parts) == file.size
        assert all(len(digest) == 64 for digest in (file.sha256, *(p.sha256 for p in file.parts)))
