"""The composition root: the one place that builds concrete parts from settings."""
