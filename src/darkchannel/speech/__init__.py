"""Chunks become audio samples: the engine protocol and the engines."""
