"""The house keeps its order: a package imports only packages to its left; some parts import less still."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("accounts", "practitioners", "billing", "ehealth", "medisetup")
PURE = (
    "accounts/identifiers.py",
    "accounts/contacts.py",
    "accounts/keys.py",
    "billing/bank.py",
    "ehealth/keystore.py",
    "ehealth/client/wsse.py",
)
# Inside an app: edges → forms and actions → models → pure modules.
EDGES = ("views", "tasks", "urls", "admin")


def imports(path: Path) -> set[str]:
    """Dotted names of every import of a file, also of those inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources(package: str) -> list[Path]:
    return [path for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts]


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_packages_to_its_left(package: str) -> None:
    above = ORDER[ORDER.index(package) + 1 :]
    wrong = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in sources(package)
        for name in imports(path)
        if name.split(".")[0] in above
    }
    assert not wrong


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_knows_neither_django_nor_the_clock(module: str) -> None:
    wrong = {
        name
        for name in imports(ROOT / module)
        if name.split(".")[0] in ("django", "time", "requests", "urllib3")
    }
    assert not wrong


def test_the_client_knows_neither_django_nor_the_models() -> None:
    wrong = {
        (path.name, name)
        for path in sources("ehealth/client")
        for name in imports(path)
        if name.split(".")[0] in ("django", *ORDER)
        and not name.startswith(("ehealth.client", "ehealth.wsdl"))
    }
    assert wrong <= {(name, "ehealth") for name, _ in wrong}


def test_the_simulator_shares_nothing_with_the_client_but_the_contract() -> None:
    wrong = {
        (path.name, name)
        for path in sources("ehealth/simulator")
        for name in imports(path)
        if name.split(".")[0] in ("django", *ORDER)
        and not name.startswith(("ehealth.simulator", "ehealth.wsdl"))
    }
    assert wrong <= {(name, "ehealth") for name, _ in wrong}


@pytest.mark.parametrize("package", ORDER)
def test_actions_and_models_do_not_know_the_edges(package: str) -> None:
    wrong = set()
    for path in sources(package):
        parts = path.relative_to(ROOT / package).parts
        inner = parts[0].removesuffix(".py") in ("actions", "models", "forms", "access", "audit")
        for name in imports(path) if inner else ():
            pieces = name.split(".")
            if pieces[0] == package and len(pieces) > 1 and pieces[1] in ("views", "urls", "admin"):
                wrong.add((path.name, name))
    assert not wrong


def test_actions_do_not_know_forms() -> None:
    wrong = set()
    for package in ORDER:
        for path in sources(package):
            if path.relative_to(ROOT / package).parts[0].removesuffix(".py") == "actions":
                wrong |= {(path.name, name) for name in imports(path) if name.startswith(f"{package}.forms")}
    assert not wrong


@pytest.mark.parametrize("name", ["core", "common", "utils", "helpers", "lib"])
def test_there_is_no_drawer(name: str) -> None:
    assert not [
        path for package in ORDER for path in (ROOT / package).rglob(f"{name}*") if path.suffix in ("", ".py")
    ]
