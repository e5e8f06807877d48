"""Text and SSML become a script, and a script becomes chunks.  Pure functions, no engine."""
