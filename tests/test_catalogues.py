"""The catalogues hold every text of the sources, and the sources hold no text that cannot be translated."""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import polib
import pytest
from django.core.management import call_command

ROOT = Path(__file__).parents[1]
APPS = ("accounts", "practitioners", "billing", "ehealth", "medisetup")
CATALOGUES = {path.parts[-3]: path for path in sorted(ROOT.glob("locale/*/LC_MESSAGES/*.po"))}
# French is the source: its small catalogue holds plurals alone, the rest reads as written.
OTHERS = sorted(set(CATALOGUES) - {"fr"})
PLACE = re.compile(r"%\(\w+\)[sd]|%[sd]|%%|\{\w*\}")
TEMPLATES = sorted((ROOT / "templates").rglob("*.*"))
# Words and letters that no identifier, path or English sentence has.
FRENCH = re.compile(
    r"[àâçéèêëîïôùûüœÀÂÇÉÈÊÎÔŒ«»].*[a-z]{3}|[a-z]{3}.*[àâçéèêëîïôùûüœ«»]"
    r"|\b([Vv]otre|[Vv]os|[Cc]ette|[Uu]ne|[Ll]es|[Dd]es|pour|avec|dans|sont|pas|est)\b"
)
# What is the same in all four languages.
NAMES = re.compile(
    r'^[\w-]+="[^"]*"$|^main--wide$|medisetup|eHealth(Box)?|eDMG|IBAN|BIC|BCE|INAMI|SHA-256|\.pem|\.p12|https?://\S+'
)
WORD = re.compile(r"[^\W\d_]{2}")
SPOKEN = ("title", "aria-label", "alt", "placeholder", "data-label", "aria-description")
# For whoever runs the portal: the terminal, the notes of the demonstration; languages in their own words.
TERMINAL = (
    "medisetup/settings.py",
    "medisetup/management",
    "medisetup/local",
    "medisetup/furnishing.py",
    "medisetup/checks.py",
    "ehealth/simulator",
)
# The chief terms, whatever their case: French, and what each translation of it says, in this order.
# A mutuality is an insurer in English; its own name stays.
OTHERS_IN_TERMS = ("nl", "de", "en")
TERMS = {
    r"mutu(?:alité|elle)": (
        "ziekenfonds|mutualiteit",
        "krankenkasse",
        "insurer|registered with you|mutualities",
    ),
    r"trousseau": ("keystore", "schlüsselbund", "keystore"),
    r"numéro INAMI": ("RIZIV-nummer", "LIKIV-nummer", "NIHII number"),
    r"numéro national": ("rijksregisternummer", "nationalregisternummer", "national number"),
    r"maître de stage": ("stagemeester", "praktikumsleiter", "training supervisor"),
    r"\bcabinets?\b": ("praktijk", "prax(?:is|en)", "practice"),
    r"\beDMG\b": ("eGMD", "eGMA", "eDMG"),
    r"\bBCE\b": ("KBO-nummer", "ZDU-nummer", "enterprise number"),
    r"données financières": ("financiële gegevens", "finanzdaten", "financial details"),
    r"informations générales": ("algemene gegevens", "allgemeinen? angaben", "general information"),
    r"maison médicale": ("wijkgezondheidscentrum", "ärztehaus", "medical house"),
    r"second facteur": ("tweede factor", "zweite[rn]? faktor", "second factor"),
    r"codes? de secours": ("noodcode", "notfallcode", "recovery code"),
    r"licence": ("licentie", "lizenz", "licence"),
    r"spécialité": ("specialiteit", "fachgebiet", "specialty"),
    r"configuration": ("configuratie", "einrichtung", "setup"),
    r"lieu de travail": ("werkadres", "arbeitsort", "workplace"),
    r"adresse de facturation": ("facturatieadres", "rechnungsadresse", "billing address"),
    r"paires? de clés": ("sleutelpaar", "schlüsselpaar", "key pair"),
}
# Another word for a thing that has one; « tu » for « vous »; what was left in French.
FORBIDDEN = {
    "nl": r"specialisme|vervallen|[Oo]ndernemingsnummer|\bmutualiteit|\b[Jj](e|ij|ou|ouw)\b",
    "de": r"Konfiguration|Unternehmensnummer|eingeschrieben|Praktikumsleitung|Allgemeinmedizin"
    r"|[Mm]elden Sie sich (wieder )?an\b|\b[Dd](u|ein\w*|ich|ir)\b",
    "en": r"\b[Mm]utuality\b|\bGMD\b|[Ss]omebody else|configuration|\btries\b|\w'\w|exemple\.",
}
# A space before a sign of two parts, and the quotation marks that go with it.
FRENCH_SIGNS = re.compile(r"\w [:;?!]|[«»\u00a0\u202f]")
LAZY = ("gettext_lazy", "ngettext_lazy", "pgettext_lazy")
EAGER = ("gettext", "ngettext", "pgettext")


# --- the catalogues ---------------------------------------------------------------------------
@pytest.mark.parametrize("language", CATALOGUES)
def test_a_catalogue_is_complete_and_keeps_the_places(language: str) -> None:
    wrong = []
    for entry in polib.pofile(str(CATALOGUES[language])):
        sources = [entry.msgid, entry.msgid_plural or entry.msgid]
        for text in list(entry.msgstr_plural.values()) or [entry.msgstr]:
            if not text:
                wrong += [entry.msgid] * (language != "fr")
                continue
            added = set(PLACE.findall(text)) - set(PLACE.findall("".join(sources)))
            lost = set(PLACE.findall(sources[-1])) - set(PLACE.findall(text))
            # "One step" may leave the number out.
            if entry.fuzzy or added or (lost and not entry.msgid_plural):
                wrong.append(f"{entry.msgid} → {text}")
    assert not wrong


@pytest.fixture(scope="module")
def extracted() -> Iterator[set[str]]:
    """Every text of the sources, as GNU gettext finds it in a copy."""
    if not shutil.which("xgettext"):
        pytest.skip("no xgettext on PATH: the texts of the sources cannot be listed")
    with tempfile.TemporaryDirectory(prefix="messages-") as folder, pytest.MonkeyPatch.context() as patch:
        for name in (*APPS, "templates"):
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        Path(folder, "locale").mkdir()
        patch.chdir(folder)
        patch.setattr("django.conf.settings.LOCALE_PATHS", [f"{folder}/locale"])
        call_command("makemessages", locale=["nl"], no_location=True, verbosity=0)
        yield {entry.msgid for entry in polib.pofile(f"{folder}/locale/nl/LC_MESSAGES/django.po")}


@pytest.mark.parametrize("language", OTHERS)
def test_no_text_of_the_sources_is_missing_and_none_is_left_over(language: str, extracted: set[str]) -> None:
    known = {entry.msgid for entry in polib.pofile(str(CATALOGUES[language])) if not entry.obsolete}
    assert sorted(extracted - known) == [], "missing"
    assert sorted(known - extracted) == [], "left over"


# --- one word per thing -----------------------------------------------------------------------
@pytest.mark.parametrize("language", OTHERS)
def test_a_term_has_its_one_translation(language: str) -> None:
    wrong = []
    for entry in polib.pofile(str(CATALOGUES[language])):
        texts = list(entry.msgstr_plural.values()) or [entry.msgstr]
        for term, words in TERMS.items():
            allowed = re.compile(words[OTHERS_IN_TERMS.index(language)], re.IGNORECASE)
            if re.search(term, entry.msgid, re.IGNORECASE) and not all(map(allowed.search, texts)):
                wrong.append(f"{term}: {entry.msgid} → {texts}")
    assert not wrong


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_no_word_of_another_register_or_for_a_thing_that_has_one(language: str) -> None:
    forbidden = re.compile(FORBIDDEN[language])
    entries = polib.pofile(str(CATALOGUES[language]))
    texts = [text for entry in entries for text in [*entry.msgstr_plural.values(), entry.msgstr]]
    assert [text for text in texts if forbidden.search(text) or FRENCH_SIGNS.search(text)] == []


# --- the templates ----------------------------------------------------------------------------
class Untranslated(HTMLParser):
    """Letters in text and in spoken attributes, after the template tags are taken out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def note(self, text: str | None) -> None:
        rest = NAMES.sub("", (text or "").strip())
        if WORD.search(rest):
            self.found.append(" ".join(rest.split()))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in SPOKEN:
                self.note(value)

    def handle_data(self, data: str) -> None:
        self.note(data)


def spoken(template: str) -> list[str]:
    """What a template says outside the tags of translation, and sentences it hands to an include."""
    text = re.sub(
        r"\{% (comment|blocktranslate)\b.*?%\}.*?\{% end\1 %\}|\{#.*?#\}", "", template, flags=re.DOTALL
    )
    tags = re.findall(r"\{% (?:include|with)\b.*?%\}", text)
    handed = [value for tag in tags for _mark, value in re.findall(r"""\w=(["'])(.*?)\1""", tag)]
    reader = Untranslated()
    reader.feed(re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL))
    reader.close()
    return reader.found + [value for value in handed if FRENCH.search(value)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT / "templates").as_posix())
def test_a_template_says_nothing_outside_the_tags_of_translation(path: Path) -> None:
    assert spoken(path.read_text()) == []


# --- the code ---------------------------------------------------------------------------------
def modules() -> list[Path]:
    paths = [
        path for app in APPS for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts
    ]
    return [path for path in paths if not path.relative_to(ROOT).as_posix().startswith(TERMINAL)]


def translators(tree: ast.Module, names: tuple[str, ...]) -> set[str]:
    """The names under which a module knows these functions."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        for alias in node.names if alias.name in names and node.module == "django.utils.translation"
    }  # fmt: skip


def calls(node: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and getattr(inner.func, "id", "") in names:
            yield inner


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_translated_once_and_for_all_at_import(path: Path) -> None:
    tree = ast.parse(path.read_text())
    eager = translators(tree, EAGER)
    inside = {
        id(call) for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.Lambda | ast.AsyncFunctionDef)
        for part in (function.body if isinstance(function.body, list) else [function.body])
        for call in calls(part, eager)
    }  # fmt: skip
    assert [call.lineno for call in calls(tree, eager) if id(call) not in inside] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_french_in_the_code_is_given_to_translation(path: Path) -> None:
    tree = ast.parse(path.read_text())
    known = translators(tree, EAGER + LAZY)
    translated = {id(part) for call in calls(tree, known) for part in ast.walk(call)}
    described = {
        id(node.value) for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }  # fmt: skip
    left = [
        node.value for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FRENCH.search(node.value)
        and id(node) not in translated | described
    ]  # fmt: skip
    assert left == []
