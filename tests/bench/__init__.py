"""Commands that print the figures in BENCHMARKS.md; `make bench` runs them all."""

import models  # noqa: F401  (before torch: it says how torch's threads are to wait)
