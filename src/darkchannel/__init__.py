"""Self-hosted audiobooks: text or SSML in, a mastered audiobook out of an S3 bucket."""
