"""The house stands as it was designed: which way imports point, and what `models` needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
MAY_IMPORT = {
    "flows": {"flows", "tasks", "storage"},
    "tasks": {"tasks", "models", "storage"},
    "models": {"models"},
    "storage": {"storage"},
}
# What a bare GPU machine has.
MODELS_MAY_IMPORT = {"torch", "numpy", "safetensors"}
PREFECT_LIVES_IN = {"flows"}
DASK_LIVES_IN = {"flows", "tasks"}


def modules(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Top-level names that a file imports anywhere in it, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name in MAY_IMPORT and name not in MAY_IMPORT[package]
    ]
    assert modules(package)
    assert not wrong


def test_models_import_nothing_but_torch_numpy_and_safetensors() -> None:
    allowed = MODELS_MAY_IMPORT | set(sys.stdlib_module_names) | {"models"}
    wrong = [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in modules("models")
        for name in imported(path)
        if name not in allowed
    ]
    assert not wrong


def test_prefect_and_dask_stay_in_their_rooms() -> None:
    for library, rooms in (
        ("prefect", PREFECT_LIVES_IN),
        ("dask", DASK_LIVES_IN),
        ("torch", {"models", "tasks"}),
    ):
        wrong = [
            str(path.relative_to(REPOSITORY))
            for package in MAY_IMPORT
            if package not in rooms
            for path in modules(package)
            if library in imported(path)
        ]
        assert not wrong, f"{library} is imported by {wrong}"


def test_stages_are_handed_on_without_torch() -> None:
    """The process that hands them on would compete with its workers for a core while it imports it."""
    stages = "tasks.faces, tasks.track, tasks.fit, tasks.features, tasks.extract, tasks.team"
    code = f"import sys, {stages}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


# Imports every module of `models` where nothing else can be found.
BARE = """
import importlib, importlib.abc, pkgutil, sys

class Bare(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in HIDDEN:
            raise ModuleNotFoundError(f"{top} is not on a bare machine")

HIDDEN = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Bare())
import models
for module in pkgutil.walk_packages(models.__path__, "models."):
    importlib.import_module(module.name)
    print(module.name)
"""


def test_models_import_on_a_bare_machine() -> None:
    hidden = "av,cv2,mediapipe,pandas,pyarrow,zarr,xarray,prefect,dask,distributed,librosa,duckdb,click,scipy"
    hidden += ",fsspec,pydantic,storage,tasks,flows,matplotlib,numba,espeakng_loader,rich,s3fs"
    done = subprocess.run(
        [sys.executable, "-c", BARE, hidden], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(modules("models")) - 1, "every module but `models` itself"


@pytest.mark.parametrize("command", ["look", "status", "query", "refresh", "retry", "backfill", "plan"])
def test_looking_at_the_ledger_imports_nothing_heavy(command: str) -> None:
    """`memdub status` answers at once, and a refresh that finds nothing: people ask them many times a day."""
    code = f"import sys, flows.cli.{command}; print(*[m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["torch", "prefect", "dask", "distributed", "cv2", "mediapipe", "librosa", "av", "zarr", "pandas"]
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
