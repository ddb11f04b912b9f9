"""Commands that print the figures in BENCHMARKS.md; `make bench` runs them all."""
