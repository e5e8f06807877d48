"""A short sample of each voice, as a WAV file, so that one can be chosen by ear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from darkchannel.audio.wav import encode_wav
from darkchannel.models import Chunk, Utterance, chunk_digest
from darkchannel.speech.engine import Engine


def render_samples(
    engine: Engine, names: Sequence[str], texts: Mapping[str, str], directory: Path
) -> Iterator[Path]:
    """Render one sentence with each voice.

    Args:
        engine: whose voices they are.
        names: of the voices.
        texts: what to say, by language tag or its first part (``en`` for ``en-GB``).
        directory: made if need be; files are named after the voices.

    Yields:
        The path of each sample, when it is written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    languages = {voice.name: voice.language for voice in engine.voices}
    for name in names:
        language = languages[name]
        text = texts.get(language) or texts[language.split("-")[0]]
        utterance = Utterance(text=text, spoken=text, language=language)
        chunk = Chunk(
            index=1,
            utterances=(utterance,),
            voice=name,
            language=language,
            speed=1.0,
            tokens=engine.count_tokens(utterance),
            pause_after=0.0,
            digest=chunk_digest(
                (utterance,), voice=name, language=language, speed=1.0, engine=engine.fingerprint
            ),
        )
        speech = next(iter(engine.synthesize([chunk])))
        path = directory / f"{name}.wav"
        path.write_bytes(encode_wav(speech.samples, speech.sample_rate))
        yield path
