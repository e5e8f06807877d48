"""Letter-to-sound rules: the espeak-ng library, bound directly.

A general wrapper costs 1.7 s of imports before the first phoneme; the one function needed
here takes 30 ms.  espeak-ng keeps its state in global variables, so one lock guards it for the
whole process.
"""

from __future__ import annotations

import atexit
import ctypes
import re
import shutil
import tempfile
import threading
from pathlib import Path

from darkchannel.errors import EngineUnavailableError

TIE = "^"
"""Stands between the letters of one sound, as in ``t^ʃ``."""

_AUDIO_OUTPUT_RETRIEVAL = 1  # espeak_AUDIO_OUTPUT, speak_lib.h: plays nothing
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: an error is a result, not the process's end
_CHARACTERS_UTF8 = 1
_PHONEMES_IPA = 0x02 | 1 << 7 | ord(TIE) << 8  # bit 7: bits 8 to 23 are a tie, not a separator

_MAX_PATH = 140
"""espeak-ng keeps its data path in 160 bytes and fails without a word beyond."""

_MAX_WORD = 50
"""Characters: espeak-ng drops what a word has beyond 160 bytes."""

_LONG_WORD = re.compile(rf"(\S{{{_MAX_WORD}}})(?=\S)")
_LANGUAGE_FLAG = re.compile(r"\([^()]*\)")

VOICES = {"pt-BR": "roa/pt-BR", "en-US": "gmw/en-US", "en-GB": "gmw/en"}
"""Files of espeak-ng's voices by BCP 47 tag; asked for by tag, British English is not found."""

_lock = threading.Lock()
_library: ctypes.CDLL | None = None
_voice = ""


def phonemize(text: str, language: str) -> str:
    """IPA of one clause as espeak-ng reads it, words apart by one space.

    Args:
        text: without control characters or parentheses.
        language: BCP 47 tag, one of :data:`VOICES`.

    Raises:
        EngineUnavailableError: the library is missing or does not start.
    """
    said = _LONG_WORD.sub(r"\1 ", text)
    with _lock:
        library = _loaded()
        _set_voice(library, VOICES[language])
        source = ctypes.c_char_p(said.encode())
        pieces = []
        while source.value is not None:
            pieces.append(
                library.espeak_TextToPhonemes(
                    ctypes.byref(source), _CHARACTERS_UTF8, _PHONEMES_IPA
                ).decode()
            )
    # Words of another language are wrapped in flags such as (en) and (pt).
    return " ".join(_LANGUAGE_FLAG.sub("", " ".join(pieces)).split())


def version() -> str:
    """Version of the library, such as ``1.52.0``.

    Raises:
        EngineUnavailableError: the library is missing or does not start.
    """
    with _lock:
        found = _loaded().espeak_Info(None)
    return str(found.decode().split()[0])


def _loaded() -> ctypes.CDLL:
    global _library  # noqa: PLW0603 - the library's own state is global too
    if _library is None:
        _library = _start()
    return _library


def _start() -> ctypes.CDLL:
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = _short_path(Path(espeakng_loader.get_data_path()))
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailableError(
            f"espeak-ng, which turns text into phonemes, cannot be loaded: {error}",
            remedy="install it with `pip install darkchannel[kokoro]`",
        ) from error
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_int,
    ]
    rate = library.espeak_Initialize(_AUDIO_OUTPUT_RETRIEVAL, 0, str(data).encode(), _DONT_EXIT)
    if rate <= 0:
        raise EngineUnavailableError(f"espeak-ng cannot read its data in {data}")
    return library


def _short_path(data: Path) -> Path:
    if len(str(data).encode()) <= _MAX_PATH:
        return data
    # Its files are opened as they are needed, so the link has to live as long as the process.
    folder = Path(tempfile.mkdtemp(prefix="espeak-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / "espeak-ng-data"
    link.symlink_to(data, target_is_directory=True)
    return link


def _set_voice(library: ctypes.CDLL, voice: str) -> None:
    global _voice  # noqa: PLW0603 - mirrors the library's global state
    if voice == _voice:
        return
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise EngineUnavailableError(f"espeak-ng has no voice {voice}")
    _voice = voice
