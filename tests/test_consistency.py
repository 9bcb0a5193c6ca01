"""Nothing lies about unused, nothing is used that is not there, nothing has grown out of hand."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.conf import global_settings

from accounts.audit import KINDS
from medisetup.templatetags.medisetup import TABS

ROOT = Path(__file__).parents[1]
APPS = ("accounts", "practitioners", "billing", "ehealth", "medisetup")
TEMPLATES = ROOT / "templates"
# Django, allauth or WhiteNoise look these up by their names.
BY_NAME = {"forms/form.html", "forms/field.html", "forms/formset_error_summary.html"}
ROUTES_BY_NAME = {"account_change_password", "account_reset_password_done"}
ROUTES_BY_NAME |= {"account_reset_password_from_key_done", "health_live", "health_ready", "mfa_authenticate"}
# Typed from memory; they send on to the portal's own.
ROUTES_BY_NAME |= {"support:login", "support:logout", "support:password_change"}
# Made by the site of support, one or two a kind of row; `test_support` follows the links to each.
OF_ROWS = re.compile(r"support:\w+_(changelist|change)")
SETTINGS_BY_NAME = {"ROOT_URLCONF", "EMAIL_FILE_PATH"}
BY_NAME_FOLDERS = ("account/", "accounts/emails/")
OF_LIBRARIES = ("ACCOUNT_", "ALLAUTH_", "CELERY_")
KIND = re.compile(r"(account|section|practitioner|billing|ehealth):[\w/]+(:\w+)?:\w+")
# What must be longer, and why.
LONG_FILES = {"medisetup/readiness.py": "one entry per item of the checklist, all in one list"}
LONGEST_TEST = 600


def sources(*folders: str) -> list[Path]:
    return [
        path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    ]  # fmt: skip


@cache
def code() -> str:
    """All Python of the product in one text."""
    return "\n".join(path.read_text() for path in sources(*APPS))


@cache
def pages() -> dict[str, str]:
    return {
        path.relative_to(TEMPLATES).as_posix(): path.read_text()
        for path in sorted(TEMPLATES.rglob("*")) if path.is_file()
    }  # fmt: skip


@cache
def scripts() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "static").rglob("*.js")))


def strings() -> Iterator[str]:
    for path in sources(*APPS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


# --- nothing unused, nothing missing ----------------------------------------------------------
def test_every_template_is_used() -> None:
    everything = code() + "\n".join(pages().values())
    unused = [
        name for name in pages()
        if f'"{name}"' not in everything and name not in BY_NAME and not name.startswith(BY_NAME_FOLDERS)
    ]  # fmt: skip
    assert unused == []


def test_every_named_template_exists() -> None:
    named = re.findall(r'"([\w/]+/[\w.]+\.(?:html|txt))"', code() + "\n".join(pages().values()))
    assert set(named) - set(pages()) == set()


def test_every_static_file_is_used() -> None:
    files = [path for path in sorted((ROOT / "static").rglob("*")) if path.is_file()]
    styles = "\n".join(path.read_text() for path in files if path.suffix == ".css")
    everything = "\n".join(pages().values()) + styles + scripts() + code()
    unused = [
        path.as_posix() for path in files if not re.search(rf"[\"'/]{re.escape(path.name)}", everything)
    ]
    assert unused == []


def test_every_styled_class_is_worn() -> None:
    styles = "\n".join(path.read_text() for path in (ROOT / "static/css").glob("*.css"))
    plain = re.sub(r"/\*.*?\*/|url\([^)]*\)", "", styles, flags=re.DOTALL)
    styled = set(re.findall(r"\.([a-z][\w-]*)(?=[\s,.:{>+~)\[])", plain))
    markup = "\n".join(pages().values()) + code()
    given = re.findall(r'class="(.*?)"(?=[\s>{%])', markup, re.DOTALL)
    given += re.findall(r'class="([\w -]*)"', markup) + re.findall(r"block main_class %\}(.*?)\{%", markup)
    classes = " ".join(given)
    worn = set(re.findall(r"[\w-]+", classes))
    worn |= set(re.findall(r"[\"'.]([a-z][\w-]*)", scripts()))
    kinds = {name for name in styled if f"{name.rpartition('--')[0]}--{{" in classes}
    assert styled - worn - kinds == set()


def settings_of_our_own() -> set[str]:
    tree = ast.parse((ROOT / "medisetup/settings.py").read_text())
    assigned = {
        target.id for node in ast.walk(tree) if isinstance(node, ast.Assign)
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    return {
        name for name in assigned
        if name.isupper() and not hasattr(global_settings, name) and not name.startswith(OF_LIBRARIES)
    }  # fmt: skip


def test_every_setting_of_our_own_is_read() -> None:
    settings = (ROOT / "medisetup/settings.py").read_text()
    unread = {
        name for name in settings_of_our_own()
        if not re.search(rf"settings\.{name}\b|[\"']{name}[\"']", code().replace(settings, ""))
        and len(re.findall(rf"(?<![\w\"]){name}(?![\w\"])", settings)) < 2
    }  # fmt: skip
    assert unread - SETTINGS_BY_NAME == set()


def test_every_kind_of_the_audit_trail_is_recorded_and_no_other() -> None:
    outside = set(strings())
    # Once in the list of kinds, once where it is put into words.
    recorded = {kind for kind in KINDS if code().count(f'"{kind}"') > 2}
    recorded |= {f"section:{key}:saved" for key, _name, _label in TABS}
    assert KINDS - recorded == set()
    names = {text for text in outside if KIND.fullmatch(text) and text.count(":") == 2}
    assert names - KINDS == set()


def test_every_route_is_used() -> None:
    from tests.medisetup.test_doors import ALL

    everything = "\n".join(pages().values()) + scripts()
    for path in sources(*APPS):
        everything += path.read_text() if path.name not in ("urls.py", "signin_urls.py") else ""
    names = {name for name, _path in ALL if not OF_ROWS.fullmatch(name)}
    unused = {name for name in names if not re.search(rf"[\"']{re.escape(name)}[\"'#]", everything)}
    assert unused - ROUTES_BY_NAME == set()


def test_direct_dependencies_are_locked_and_come_from_the_registry() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = project["project"]["dependencies"]
    local = project["project"]["optional-dependencies"]["local"]
    assert len(direct) <= 16
    for file, wanted in (
        ("prod", direct),
        ("local", direct + local),
        ("dev", direct + local + project["dependency-groups"]["dev"]),
    ):
        lock = (ROOT / f"requirements/{file}.txt").read_text()
        locked = {
            name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)(?:\[.*?\])?==", lock, re.M)
        }
        names = {re.split(r"[\[~<>=!; ]", entry)[0].lower() for entry in wanted}
        assert names - locked == set(), file
        assert "://" not in lock, file
        assert len(re.findall(r"^[\w.-]+(?:\[.*?\])?==", lock, re.M)) <= lock.count("--hash="), file


# --- the templates ----------------------------------------------------------------------------
FORBIDDEN = {
    "unescaped": r"\|\s*safe\b|autoescape off",
    "inline style": r"<style\b|\sstyle=",
    "inline script": r"<script(?![^>]*\ssrc=)",
    "handler": r"<[^>]*\son\w+=",
    "script address": r"javascript:",
    "date of one language": r"\|(?:date|time):\"(?![A-Z_]+\")",
}


@pytest.mark.parametrize("name", pages())
def test_a_template_is_short_and_holds_no_code(name: str) -> None:
    text = pages()[name]
    plain = name.endswith(".txt")
    assert text.count("\n") <= 120
    found = {what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)}
    # Plain text is no HTML: an apostrophe stays one.
    assert found - ({"unescaped"} if plain else set()) == set()


def test_the_code_marks_nothing_safe_and_exempts_nothing() -> None:
    assert re.findall(r"\b(mark_safe|SafeString|csrf_exempt|extra_tags=.safe)\b", code()) == []


# Chance that is no secret: invented people, misbehaviour on order; the hashes of RFC 6238 and of old files.
NOT_SECRET = ("ehealth/simulator/", "medisetup/furnishing.py", "medisetup/bench/")
OLD_HASHES = ("accounts/actions/factor.py", "ehealth/keystore_child.py", "ehealth/simulator/")


def test_chance_and_hashes_are_those_of_secrets() -> None:
    """Security SR-79: `secrets` and SHA-256, nothing that can be guessed or forged."""
    found = set()
    for path in sources(*APPS):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        if re.search(r"^\s*(import|from) random\b", text, re.M) and not name.startswith(NOT_SECRET):
            found.add(f"{name}: random")
        if re.search(r"\b(md5|sha1)\b", text, re.I) and not name.startswith(OLD_HASHES):
            found.add(f"{name}: old hash")
    assert found == set()


# --- sizes ------------------------------------------------------------------------------------
def functions() -> Iterator[tuple[str, int]]:
    for path in sources(*APPS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


def lines(paths: list[Path]) -> dict[str, int]:
    return {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in paths}


def test_functions_and_files_stay_small() -> None:
    lengths = sorted(length for _name, length in functions())
    middle, p95 = statistics.median(lengths), lengths[int(len(lengths) * 0.95)]
    ours, tests = lines(sources(*APPS)), lines(sources("tests"))
    longest = sorted(ours.items(), key=lambda item: -item[1])[:5]
    figures = (
        f"{len(lengths)} functions: median {middle}, 95 % ≤ {p95}, longest {lengths[-1]}; "
        f"{len(ours)} files, {sum(ours.values())} lines, longest {longest}; "
        f"tests {sum(tests.values())} lines, {sum(tests.values()) / sum(ours.values()):.2f} : 1"
    )
    print(f"\n{figures}")  # noqa: T201
    assert middle <= 10 and p95 <= 30, figures
    assert {name for name, length in ours.items() if length > 400} <= set(LONG_FILES), figures
    assert max(tests.values()) <= LONGEST_TEST, figures
