"""The image and the compose file: right by their own schemas, closed to the world, without secrets."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

INFRA = Path(__file__).parents[2] / "infra"
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (INFRA / "Dockerfile").read_text()


def tool(name: str) -> str:
    """A checker that pip installs beside this Python, or that the machine has."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [tool("hadolint"), INFRA / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_compose_is_valid_by_its_schema() -> None:
    vendored = pytest.importorskip("check_jsonschema")
    schema = Path(vendored.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
    import jsonschema

    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_slurm_scripts_are_sound_by_shellcheck() -> None:
    scripts = sorted((INFRA / "slurm").glob("*.sbatch"))
    assert scripts
    done = subprocess.run([tool("shellcheck"), *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def stages() -> dict[str, str]:
    """Each stage of the Dockerfile, with all that it stands on but the images of others."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.M)
    bodies: dict[str, str] = {}
    for base, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        bodies[name] = bodies.get(base, "") + body
    return bodies


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_an_image_is_nobodys_root_and_has_no_tools(target: str) -> None:
    body = stages()[target]
    assert re.findall(r"^USER (.*)$", body, re.M) == ["10001:10001"]
    assert not re.search(r"\b(gcc|g\+\+|build-essential|git|curl)\b", body)
    assert "pip uninstall" in body, "the base image's own pip is left"
    assert f"COPY --from=build-{target} /opt/memdub" in body
    assert "pip uninstall --yes pip" in stages()[f"build-{target}"]


def test_both_images_get_all_packages_and_nothing_else() -> None:
    ignored = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.M))
    assert copied == {"flows", "tasks", "models", "storage"}
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} >= copied


def test_nothing_is_open_beyond_this_machine() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
            assert "outside" in service["networks"], name
        if not service.get("ports"):
            assert service["networks"] == ["inside"], name
        assert "no-new-privileges:true" in service["security_opt"], name
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_secrets_are_named_in_one_file_and_written_in_none() -> None:
    example = (INFRA / "compose.env.example").read_text()
    secrets = dict(line.split("=", 1) for line in example.splitlines() if "=" in line and line[0] != "#")
    assert {"POSTGRES_PASSWORD", "PREFECT_SERVER_API_AUTH_STRING", "AWS_SECRET_ACCESS_KEY"} <= set(secrets)
    assert secrets["PREFECT_SERVER_API_AUTH_STRING"] == secrets["PREFECT_API_AUTH_STRING"]
    assert secrets["POSTGRES_PASSWORD"] in secrets["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    for name, service in SERVICES.items():
        assert not set(service.get("environment", ())) & set(secrets), name
        assert service["env_file"] == ["compose.env"] or name == "scheduler", name
    assert "compose.env" in (INFRA / ".gitignore").read_text().split()


def test_what_depends_on_health_has_a_check() -> None:
    for service in SERVICES.values():
        for other, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], other
