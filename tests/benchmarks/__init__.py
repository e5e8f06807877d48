"""The benchmarks, each run small."""
