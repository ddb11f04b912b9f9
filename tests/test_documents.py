"""What the documents say is so: help texts, tables, files that they name, and what is packed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from click.testing import CliRunner

from flows.cli.main import cli
from storage.ledger.dictionary import dictionary

REPOSITORY = Path(__file__).parent.parent


def test_the_readme_shows_the_help_as_it_is() -> None:
    """Renew it with: python -m tests.test_documents"""
    shown = re.search(
        r"<!-- help.*?-->\n```\n(.*?)```\n<!-- /help -->", (REPOSITORY / "README.md").read_text(), re.S
    )
    assert shown is not None
    assert shown[1] == help_text()


def test_the_data_dictionary_is_the_schema() -> None:
    """Renew it with: python -m storage.ledger.dictionary > docs/ledger.md"""
    assert (REPOSITORY / "docs" / "ledger.md").read_text() == dictionary()


def test_the_files_that_documents_name_are_there() -> None:
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        "BENCHMARKS.md",
        "docs/ledger.md",
        "docs/known_pains.md",
        "infra/README.md",
        "infra/SCALING.md",
        "infra/FAILURES.md",
    ):
        text = (REPOSITORY / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in target:
                assert ((REPOSITORY / page).parent / target).exists(), f"{page} names {target}"


def test_every_benchmark_module_in_benchmarks_md_exists() -> None:
    named = re.findall(r"python -m (tests\.bench\.\w+)", (REPOSITORY / "BENCHMARKS.md").read_text())
    assert named
    for module in named:
        assert (REPOSITORY / (module.replace(".", "/") + ".py")).exists()


def test_the_wheel_holds_the_four_packages_and_their_data(tmp_path: Path) -> None:
    import zipfile

    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    names = zipfile.ZipFile(tmp_path / done.stdout.split()[-1]).namelist()
    for package in ("flows", "tasks", "models", "storage"):
        tracked = [
            path
            for path in (REPOSITORY / package).rglob("*")
            if path.suffix in {".py", ".safetensors", ".json", ".js", ".css", ".sql"}
        ]
        missing = [
            str(path.relative_to(REPOSITORY))
            for path in tracked
            if str(path.relative_to(REPOSITORY)) not in names
        ]
        assert tracked
        assert not missing


def test_the_lock_pins_everything_that_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    asked = (
        project["dependencies"]
        + project["optional-dependencies"]["dev"]
        + project["optional-dependencies"]["s3"]
    )
    lock = [
        line
        for line in (REPOSITORY / "requirements.lock").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+-]+", line) for line in lock), "a pin is not exact"
    pinned = {normal(line.partition("==")[0]) for line in lock}
    missing = {normal(re.split(r"[\[<>=; ]", text, maxsplit=1)[0]) for text in asked} - pinned - {"memdub"}
    assert not missing
    assert len([name for name in pinned if name.startswith("opencv")]) == 1, "exactly one OpenCV"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def help_text() -> str:
    return CliRunner().invoke(cli, ["--help"], prog_name="memdub", terminal_width=100).output


def renew() -> None:
    page = REPOSITORY / "README.md"
    fresh = f"<!-- help: kept true by a test -->\n```\n{help_text()}```\n<!-- /help -->"
    page.write_text(re.sub(r"<!-- help.*?/help -->", lambda _: fresh, page.read_text(), flags=re.S))


if __name__ == "__main__":
    renew()
