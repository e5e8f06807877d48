"""Cloned voices in the store: recordings under ``voices/``, and what is known of each beside it.

``{name}.wav`` is the recording; people may also put one there by hand.  ``{name}.json`` holds the
embedding, with the version of the recording and the model it was computed from: where either is
another by now, it is computed anew.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from darkchannel.audio.recordings import MAX_BYTES, SAMPLE_RATE, read_recording
from darkchannel.audio.wav import encode_wav
from darkchannel.errors import (
    AudioError,
    InputError,
    NotFoundError,
    PreconditionError,
    StoreAccessError,
    UnknownVoiceError,
)
from darkchannel.speech.engine import Engine
from darkchannel.speech.openvoice.converter import Converter
from darkchannel.speech.openvoice.voice import ClonedVoice
from darkchannel.speech.resampling import resample
from darkchannel.storage import MinIOClient
from darkchannel.storage.keys import voice_key, voice_name, voices_prefix
from darkchannel.storage.objects import ObjectInfo

MAX_VOICES = 1000
"""That are looked at; each costs a request when an engine is built."""

DEFAULT_LANGUAGE = "pt-BR"
"""Of a recording that was put there by hand."""

_MAX_CARD_BYTES = 64 << 10


def read_file(path: Path) -> bytes:
    """The bytes of a recording, but not of a file too large to be one.

    Raises:
        InputError: it cannot be read, or is larger than :data:`.MAX_BYTES`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES >> 20} MiB")
    return data


@dataclass(frozen=True, slots=True)
class _Known:
    """A voice, or what is wrong with its recording, in the version that was looked at."""

    version: str
    voice: ClonedVoice | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class References:
    """The reference voices of one store.

    Attributes:
        client: of the store.
        bucket: of references.
        converter: gives the networks; called only where an embedding must be computed or its
            model be known.
        base: builds the engine whose speech is converted.
        known: what was found out of each recording so far; services ask again and again.
    """

    client: MinIOClient
    bucket: str
    converter: Callable[[], Converter]
    base: Callable[[], Engine]
    known: dict[str, _Known] = field(default_factory=dict, repr=False, compare=False)

    def add(
        self,
        name: str,
        data: bytes,
        *,
        filename: str,
        language: str = DEFAULT_LANGUAGE,
        base: str | None = None,
        replace: bool = False,
    ) -> ClonedVoice:
        """Keep a recording as a voice.

        Args:
            name: what ``--voice`` will call it.
            data: a WAV, MP3 or FLAC file.
            filename: of it, for messages.
            language: BCP 47 tag of the language it is the default for.
            base: the base voice it is made of; None means the default of the language spoken.
            replace: another voice of that name may be replaced.

        Raises:
            InvalidKeyError: the name is not allowed.
            UnknownLanguageError, UnknownVoiceError: the base does not speak it, or has no such
                voice.
            InputError: the recording cannot be used, or there is such a voice.
            EngineUnavailableError: the model was not exported.
            StoreError: the store refused.
        """
        key = voice_key(name, "wav")
        speaks = self.base()
        speaks.resolve_voice(base, language)
        default = speaks.resolve_voice(None, language)
        canonical = next(voice.language for voice in speaks.voices if voice.name == default)
        converter = self.converter()
        wav = encode_wav(read_recording(data, filename).samples, SAMPLE_RATE)
        try:
            etag = self.client.put(
                self.bucket, key, wav, content_type="audio/wav", if_none_match=not replace
            )
        except PreconditionError as error:
            raise InputError(
                f"there is a voice {name} already", remedy="choose another name, or --replace it"
            ) from error
        voice = ClonedVoice(name, canonical, _embedded(wav, key, converter), base)
        self._keep(voice, etag, converter)
        return voice

    def remove(self, name: str) -> None:
        """Delete a voice, with its recording.

        Raises:
            UnknownVoiceError: there is none of that name.
        """
        key = voice_key(name, "wav")
        if not self.client.exists(self.bucket, key):
            names = ", ".join(known for known, _, _ in self._recordings()) or "none"
            raise UnknownVoiceError(f"there is no cloned voice {name!r}: there are {names}")
        self.client.delete(self.bucket, voice_key(name, "json"))
        self.client.delete(self.bucket, key)

    def read(self) -> tuple[list[ClonedVoice], list[str]]:
        """All voices, by name, and why others cannot be used.

        One bad recording among them must not keep the rest from speaking.

        Raises:
            EngineUnavailableError: the model was not exported.
            StoreError: the store refused.
        """
        converter: Converter | None = None
        found: dict[str, _Known] = {}
        for name, version, info in self._recordings():
            known = self.known.get(name)
            if known is None or known.version != version:
                converter = converter or self.converter()
                try:
                    known = _Known(version, self._voice(name, info, converter))
                except (InputError, AudioError) as error:
                    known = _Known(version, problem=error.message)
                except NotFoundError:
                    continue  # removed since it was listed
            found[name] = known
        self.known.clear()
        self.known.update(found)
        voices = [known.voice for known in found.values() if known.voice is not None]
        return voices, [known.problem for known in found.values() if known.voice is None]

    def _recordings(self) -> list[tuple[str, str, ObjectInfo]]:
        """Name, version of recording and card, and recording of each voice."""
        listed = list(islice(self.client.list(self.bucket, voices_prefix()), 3 * MAX_VOICES))
        etags = {info.key: info.etag for info in listed}
        named = [(name, info) for info in listed if (name := voice_name(info.key)) is not None]
        return [
            (name, f"{info.etag} {etags.get(voice_key(name, 'json'), '')}", info)
            for name, info in named[:MAX_VOICES]
        ]

    def _voice(self, name: str, info: ObjectInfo, converter: Converter) -> ClonedVoice:
        card = self._card(name)
        voice = _read_card(name, card, info.etag, converter)
        if voice is not None:
            return voice
        recording = self.client.get(self.bucket, info.key, max_bytes=MAX_BYTES)
        voice = ClonedVoice(
            name,
            _text(card, "language") or DEFAULT_LANGUAGE,
            _embedded(recording.data, info.key, converter),
            _text(card, "base"),
        )
        with contextlib.suppress(StoreAccessError):  # who may only read computes it each time
            self._keep(voice, recording.etag, converter)
        return voice

    def _card(self, name: str) -> dict[str, object]:
        try:
            key = voice_key(name, "json")
            card = json.loads(self.client.get(self.bucket, key, max_bytes=_MAX_CARD_BYTES).data)
        except (NotFoundError, ValueError):
            return {}
        return card if isinstance(card, dict) else {}

    def _keep(self, voice: ClonedVoice, etag: str, converter: Converter) -> None:
        card = {
            "name": voice.name,
            "language": voice.language,
            "base": voice.base,
            "recording": etag,
            "model": converter.about.digest,
            "embedding": base64.b64encode(voice.embedding).decode(),
        }
        data = json.dumps(card, indent=1).encode()
        self.client.put(self.bucket, voice_key(voice.name, "json"), data)


def _embedded(data: bytes, name: str, converter: Converter) -> bytes:
    """The embedding of a recording as it lies in the store: computed again, it is the same."""
    speech = read_recording(data, name).speech
    heard = resample(speech, SAMPLE_RATE, converter.about.sample_rate)
    try:
        return converter.embed(heard).astype("<f4").tobytes()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{name} cannot be embedded: {error}") from error


def _read_card(
    name: str, card: dict[str, object], etag: str, converter: Converter
) -> ClonedVoice | None:
    """The voice of a card, unless its recording or the model is another by now."""
    language, embedding = _text(card, "language"), _text(card, "embedding")
    current = (card.get("recording"), card.get("model")) == (etag, converter.about.digest)
    if not current or language is None or embedding is None:
        return None
    try:
        raw = base64.b64decode(embedding, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 4 * converter.about.width:
        return None
    return ClonedVoice(name, language, raw, _text(card, "base"))


def _text(card: dict[str, object], field: str) -> str | None:
    value = card.get(field)
    return value if isinstance(value, str) and len(value) <= 4096 else None
