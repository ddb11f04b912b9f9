"""Runs every benchmark, one after the other: `make bench`, or `make bench ARGS=ledger` for one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ORDER = (
    "ledger",
    "media",
    "puppet_speed",
    "puppet_faces",
    "tracking",
    "fitting",
    "acoustic",
    "audio",
    "offset",
    "extraction",
    "memory",
    "training",
    "expression",
    "renderer",
    "held_out",
    "dubbing",
    "dinet",
    "kills",
    "refresh",
    "refresh_kills",
    "overhead",
    "scaling",
    "team_day",
)


def main() -> int:
    wanted = sys.argv[1:] or list(ORDER)
    unknown = [name for name in wanted if not Path(__file__).with_name(f"{name}.py").exists()]
    if unknown:
        print(f"no benchmark called {unknown[0]}: {', '.join(ORDER)}", file=sys.stderr)
        return 2
    worst = 0
    for name in wanted:
        print(f"\n== python -m tests.bench.{name}", flush=True)
        worst = max(
            worst, subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode
        )
    return worst


if __name__ == "__main__":
    sys.exit(main())
