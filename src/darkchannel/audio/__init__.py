"""Takes become a book: joining, pauses, loudness, encoding, subtitles, the measured report."""
