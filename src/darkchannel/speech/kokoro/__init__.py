"""Kokoro-82M, a small speech model with Brazilian Portuguese and English voices.

Text becomes phonemes (:mod:`.phonemes`, by espeak-ng), phonemes become tokens
(:mod:`.vocabulary`), tokens become samples (:mod:`.runtime`) with the files of :mod:`.weights`;
:mod:`.engine` joins them.
"""
