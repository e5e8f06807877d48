"""Figures against peers and limits; ``python -m benchmarks`` runs them all."""
