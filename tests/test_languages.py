"""Nobody reads French who did not ask for it: every page and error in each language (mails: test_letters).

A text counts as left behind when the French of the catalogue, in pieces between its placeholders, can be
read on a page in another language.
"""

from __future__ import annotations

import html
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import lxml.html
import polib
import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.test import Client, RequestFactory
from django.urls import path, resolve
from django.utils import translation
from pytest_django.fixtures import Settings

from accounts.models import User
from ehealth import words
from medisetup import urls, views
from tests.accounts.factories import UserFactory
from tests.cast import Visit, visits
from tests.conftest import sign_in
from tests.medisetup.test_doors import ALL

ROOT = Path(__file__).parents[1]
OTHERS = ("nl", "de", "en")
HOLE = re.compile(r"%\(\w+\)[sd]|%[sd]|%%|\{\w*\}|<[^>]*>|https?://\S+|\s*\n\s*")
LETTERS = re.compile(r"[^\W\d_]{2}")
ERROR_PAGES = sorted(file.name for file in (ROOT / "templates/errors").glob("[1-9]*.html"))
SHORTEST = 12
NO_FORM = ("/language/", "/signin/leave/")
READ_ALOUD = ("title", "aria-label", "alt", "placeholder", "content", "data-label")
# Routes that show no page of their own: they send on, answer a script, or are the tool of a form.
PAGELESS = {
    "me",
    "health_live",
    "health_ready",
    "set_language",
    "account_change_password",
    "billing:bic",
    "accounts:key_reset_use",
    "journal_export",
    "own_data",
    "people_export",
    "support:login",
    "support:logout",
    "support:password_change",
    "mfa_authenticate",  # the page of accounts:factor_prove, before there is a session
}


@cache
def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(ROOT / f"locale/{language}/LC_MESSAGES/django.po"))


def forms_of(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) or [entry.msgstr]


# --- what a page says -------------------------------------------------------------------------
class Reader(HTMLParser):
    """What is read on a page, by eye or aloud, but for parts in a language of their own."""

    VOID = {"meta", "link", "input", "br", "img", "hr", "wbr"}

    def __init__(self) -> None:
        super().__init__()
        self.lang, self.texts, self.foreign = "", [], []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "html":
            self.lang = names.get("lang") or ""
        if tag not in self.VOID:
            other = tag != "html" and names.get("lang") not in (None, self.lang)
            self.foreign.append(other or bool(self.foreign and self.foreign[-1]))
        if not (self.foreign and self.foreign[-1]):
            self.texts += [names[name] or "" for name in READ_ALOUD if names.get(name)]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and self.foreign:
            self.foreign.pop()

    def handle_data(self, data: str) -> None:
        if not (self.foreign and self.foreign[-1]):
            self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    reader.texts = [" ".join(text.split()) for text in reader.texts if text.strip()]
    return reader


def pieces(text: str) -> list[str]:
    return [" ".join(html.unescape(piece).split()) for piece in HOLE.split(text)]


@cache
def french(language: str) -> tuple[dict[str, str], dict[str, str]]:
    """(long pieces of French, whole short texts) that no translation contains; each to its source."""
    here = {" ".join(part.split()) for entry in catalogue(language) for part in forms_of(entry)}
    everything = "\n".join(piece for text in here for piece in pieces(text))
    long, short = {}, {}
    for entry in catalogue(language):
        for source in filter(None, (entry.msgid, entry.msgid_plural)):
            if source in forms_of(entry):
                continue
            for piece in pieces(source):
                if len(piece) >= SHORTEST and LETTERS.search(piece) and piece not in everything:
                    long[piece] = source
            if len(source) < SHORTEST and LETTERS.search(source) and source not in here:
                short[source] = source
    return long, short


def left_behind(texts: list[str], language: str) -> list[str]:
    long, short = french(language)
    whole = "\n".join(texts)
    return [piece for piece in long if piece in whole] + [text for text in texts if text in short]


class Journal:
    """What was read in one language, and what was wrong."""

    def __init__(self, language: str) -> None:
        self.language, self.pages = language, 0
        self.wrong: list[str] = []
        self.names: set[str] = set()
        self.filled: set[Any] = set()

    def judge(self) -> None:
        assert not self.wrong, "\n" + "\n".join(sorted(set(self.wrong)))

    def answer(self, who: str, response: HttpResponse, *, status: int | None = None) -> None:
        if status and response.status_code != status:
            self.wrong.append(
                f"{who}: answered {response.status_code} {response.headers.get('Location', '')}"
            )
        if response.content:
            self.text(who, response.content.decode())

    def text(self, who: str, page: str) -> None:
        reader = read(page)
        self.pages += 1
        if "<html" in page and reader.lang != self.language:
            self.wrong.append(f"{who}: lang={reader.lang!r}")
        self.wrong += [f"{who}: {text!r}" for text in left_behind(reader.texts, self.language)]


def reader_of(user: User | None, language: str, **facts: Any) -> Client:
    client = Client(headers={"accept-language": language})
    if user:
        sign_in(client, user)
        session = client.session
        session.update(facts)
        session.save()
        client.cookies["django_language"] = language
    return client


# --- pages, forms, errors ---------------------------------------------------------------------
def see(journal: Journal, visit: Visit) -> tuple[Client, HttpResponse]:
    client = reader_of(visit.user, journal.language, **visit.session)
    response = client.get(visit.path)
    journal.answer(str(visit), response, status=visit.status)
    if response.status_code in (200, 410):
        journal.names.add(resolve(urlsplit(visit.path).path).view_name)
    return client, response


def fill(journal: Journal, visit: Visit, client: Client, page: str) -> None:
    """Post each new form of a page empty, full of nonsense, a little wrong, and as it stands."""
    for form in lxml.html.fromstring(page).forms if "<form" in page else []:
        target = form.action or visit.path
        if form.method != "POST" or target.startswith(NO_FORM):
            continue
        shown = dict(form.form_values())
        names = {name: shown.get(name, "") for name in form.fields if name != "csrfmiddlewaretoken"}
        kind = (resolve(urlsplit(target).path).view_name, frozenset(names), "x" in names.get("auto", ""))
        if kind in journal.filled:
            continue
        journal.filled.add(kind)
        wrong = {name: value if name == "version" else f"{value}x"[-9:] for name, value in names.items()}
        stale = names | {"version": "7"}
        for values in (dict.fromkeys(names, ""), dict.fromkeys(names, "x"), wrong, stale, names):
            journal.answer(f"post {visit} → {target}", client.post(target, values, follow=True))


@pytest.mark.django_db
@pytest.mark.parametrize("language", OTHERS)
def test_no_page_and_no_form_shows_french(language: str) -> None:
    journal = Journal(language)
    for visit in visits():
        client, response = see(journal, visit)
        fill(journal, visit, client, response.content.decode())
    figures = f"{journal.pages} pages of {len(journal.names)} routes, {len(journal.filled)} forms"
    print(f"\n{language}: {figures}")  # noqa: T201
    journal.judge()
    shown = {name for name, place in ALL if name not in PAGELESS and has_page(place)}
    assert shown <= journal.names, shown - journal.names


def has_page(place: str) -> bool:
    """Whether the route can be read: it is not the target of a form alone."""
    user = UserFactory(roles=["admin"])
    filled = re.sub(r"<uuid:\w+>", str(user.uuid), re.sub(r"<str:\w+>", "x", place))
    return reader_of(user, "fr").get(f"/{filled}").status_code != 405


def test_french_is_found_on_a_page_that_is_french() -> None:
    with translation.override("fr"):
        page = render(asked(), "medisetup/help.html").content.decode()
    for language in OTHERS:
        assert len(left_behind(read(page).texts, language)) > 5


def asked() -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    return request


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(
    "name", sorted(file.name for file in (ROOT / "templates/errors").glob("[1-9]*.html"))
)
def test_no_error_page_shows_french(name: str, language: str) -> None:
    journal = Journal(language)
    with translation.override(language):
        for wait in (None, 1, 15):
            journal.answer(name, render(asked(), f"errors/{name}", {"wait": wait}))
    journal.judge()


@pytest.mark.parametrize("language", OTHERS)
def test_no_answer_of_the_platform_is_told_in_french(language: str) -> None:
    told = [*words.KEYSTORE.values(), *words.PLATFORM.values(), *words.WARNINGS.values()]
    told += [*words.REGISTRATION.values(), words.UNKNOWN, words.SOFTWARE_FAULT]
    with translation.override(language):
        texts = [str(text) for text in told] + [str(label) for label, _url in words.PREREQUISITES.values()]
    assert left_behind(texts, language) == []


# The routes of the demonstration, which the settings of the tests leave out.
urlpatterns = [
    *urls.urlpatterns,
    path("outbox/", views.outbox, name="outbox"),
    path("outbox/<str:name>/", views.outbox_mail, name="outbox_mail"),
    path("outbox/<str:name>/html/", views.outbox_html, name="outbox_html"),
]


BOTH = (
    "Subject: X\nTo: a@b.be\nDate: Sun, 22 Nov 2026 20:00:00 -0000\nMIME-Version: 1.0\n"
    'Content-Type: multipart/alternative; boundary="b"\n\n--b\nContent-Type: text/plain\n\nY\n'
    "--b\nContent-Type: text/html\n\n<p>Z</p>\n--b--\n"
)


@pytest.mark.django_db
@pytest.mark.parametrize("language", OTHERS)
def test_the_letter_box_shows_no_french(language: str, settings: Settings, tmp_path: Path) -> None:
    settings.OUTBOX_DIR, settings.ROOT_URLCONF, settings.DEMO = str(tmp_path), __name__, True
    (tmp_path / "a.log").write_text("Subject: X\nTo: a@b.be\nDate: Sun, 22 Nov 2026 20:00:00 -0000\n\nY\n")
    journal = Journal(language)
    with translation.override(language):
        page = views.outbox(asked())
        journal.answer("outbox", page)
        assert b'class="demo"' in page.content
        journal.answer("mail", views.outbox_mail(asked(), "a.0"))
        (tmp_path / "b.log").write_text(BOTH)
        journal.answer("both", both := views.outbox_mail(asked(), "b.0"))
        assert b'href="/outbox/b.0/html/"' in both.content
        assert views.outbox_html(asked(), "b.0").content.strip() == b"<p>Z</p>"
        with pytest.raises(Http404):
            views.outbox_html(asked(), "a.0")
    journal.judge()
