"""What the page of known troubles points at is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "known_pains.md").read_text()


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 30
    for file, test in named:
        content = (ROOT / file).read_text()
        assert f"def {test or 'test_'}" in content, (file, test)


def test_every_benchmark_and_page_that_is_named_exists() -> None:
    for name in re.findall(r"python -m tests\.bench\.(\w+)", PAGE):
        assert (ROOT / "tests" / "bench" / f"{name}.py").exists(), name
    for target in re.findall(r"\]\((\S+?)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_nothing_is_left_without_an_answer() -> None:
    rows = [line for line in PAGE.split("## Licences")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 30
    for row in rows:
        trouble, answer, shown = (cell.strip() for cell in row.strip("|").split(" | "))
        assert trouble
        assert answer
        assert shown or "**Open" in answer, trouble
