"""Every kind of mail, as really sent, in each language: what it says, where it leads, what it never holds."""

from __future__ import annotations

import html as markup
import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import allauth
import html5lib
import pytest
from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.core.context import request_context
from django.conf import settings as configured
from django.core import mail as outbox
from django.test import Client, RequestFactory
from django.urls import resolve
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import emails, signin
from accounts.models import Mail
from tests import posts
from tests.access_table import undone
from tests.accounts.factories import UserFactory
from tests.letters import ACTS, Act, Cast, spellings
from tests.test_consistency import APPS, sources
from tests.test_languages import left_behind, read

pytestmark = pytest.mark.django_db

PORTAL = "https://portail.example"
KINDS = emails.LETTERS | set(emails.NOTICES)
# The route whose links let somebody in, of the kinds that carry one; no other mail has such a link.
TOKENS = {
    "invitation": "accounts:invitation",
    "password_reset": "account_reset_password_from_key",
    "email_verification": "account_confirm_email",
}
ELEMENTS = {"html", "head", "meta", "title", "body", "p", "br", "a", "ul", "li"}
UNRENDERED = re.compile(r"\{\{|\}\}|\{%|%\(|%s|\bNone\b|\s[.,]|\(\s*\)|  ")

SENTENCES = re.compile(
    r'{% translate "(.*?)" %}|{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}', re.DOTALL
)
PLACES = re.compile(r"{{.*?}}")


@pytest.fixture(autouse=True)
def _place(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PORTAL_ORIGIN, settings.EHEALTH_LICENCE_PASSWORD = PORTAL, "Licence-Quetzal-44"
    posts.trust_issuer(settings, tmp_path)
    monkeypatch.setattr(signin, "RESET_ANSWER_SECONDS", 0)


# --- what was received ------------------------------------------------------------------------
def sent_by(cast: Cast, act: Act) -> Iterator[tuple[str, EmailMessage]]:
    """(kind, the mail as its receiver has it) of each mail that an act sends."""
    before = set(Mail.objects.values_list("pk", flat=True))
    act(cast)
    for row in Mail.objects.exclude(pk__in=before).order_by("pk"):
        outbox.outbox.clear()
        assert emails.deliver(pk=row.pk, now=timezone.now())
        yield row.kind, received(outbox.outbox[0].message().as_bytes())


def received(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def halves(letter: EmailMessage) -> tuple[str, str]:
    """Its text and its page; there is nothing else in it."""
    parts = [part for part in letter.walk() if not part.is_multipart()]
    assert letter.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    text, page = (part.get_content() for part in parts)
    return text, page


def links(text: str) -> list[str]:
    return re.findall(r"\w+://[^\s\"<>]+", text)


# --- one mail ---------------------------------------------------------------------------------
def oddities(letter: EmailMessage, kind: str, language: str) -> Iterator[str]:
    """Everything that is wrong with a mail, but for secrets."""
    text, page = halves(letter)
    if len(letter["Subject"]) < 10 or letter["From"] != configured.DEFAULT_FROM_EMAIL:
        yield f"headers: {letter['Subject']!r} from {letter['From']!r}"
    yield from (f"unrendered {found!r}" for found in UNRENDERED.findall(f"{letter['Subject']}\n{text}"))
    yield from (f"markup in the text: {found}" for found in re.findall(r"&\w+;|<p>|<a ", text))
    if in_words(page) != " ".join(text.split()):
        yield f"the halves differ: {in_words(page)!r} {' '.join(text.split())!r}"
    yield from odd_page(page, language)
    yield from odd_links(kind, links(text))
    if sorted(links(text)) != sorted(addresses(page)):
        yield "other links on the page"
    if language != "fr":
        said = [*read(page).texts, letter["Subject"], *text.splitlines()]
        yield from (f"French: {piece!r}" for piece in left_behind(said, language))


def in_words(page: str) -> str:
    """What a page says, with the address of each link behind its words."""
    body = page[page.index("<body>") : page.index("</body>")]
    body = re.sub(r'<a href="([^"]*)">(.*?)</a>', lambda a: a[2] if a[1] == a[2] else f"{a[2]} {a[1]}", body)
    return " ".join(markup.unescape(re.sub(r"<[^>]*>", " ", body.replace("<li>", " - "))).split())


def addresses(page: str) -> list[str]:
    return [markup.unescape(found) for found in re.findall(r'href="([^"]*)"', page)]


def odd_page(page: str, language: str) -> Iterator[str]:
    """A page that needs nothing from anywhere and runs nothing."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    tree = parser.parse(page)
    yield from (f"not HTML: {error}" for error in parser.errors)
    for element in tree.iter():
        if isinstance(element.tag, str) and element.tag != "head" and element.tag not in ELEMENTS:
            yield f"an element {element.tag}"
        allowed = {"html": {"lang"}, "meta": {"charset"}, "a": {"href"}}.get(str(element.tag), set())
        yield from (f"{element.tag} has {name}" for name in set(element.attrib) - allowed)
    if tree.get("lang") != language:
        yield f"lang={tree.get('lang')!r}"


def odd_links(kind: str, found: list[str]) -> Iterator[str]:
    """Links lead to this portal; one lets in, of the kinds that are made for it, and of no other."""
    yield from (
        f"leads away: {link}" for link in found if link != PORTAL and not link.startswith(f"{PORTAL}/")
    )
    yield from (f"carries something: {link}" for link in found if set("?#@") & set(link))
    letting_in = []
    for link in found:
        match = resolve(urlsplit(link).path or "/")
        if any(not isinstance(value, UUID) for value in match.kwargs.values()):
            letting_in.append(match.view_name)
    if letting_in != ([TOKENS[kind]] if kind in TOKENS else []):
        yield f"lets in by {letting_in}"


def secrets_in(letter: EmailMessage, cast: Cast) -> Iterator[str]:
    """Secrets that can be read somewhere in a mail, its headers and its raw bytes included."""
    text, page = halves(letter)
    whole = "\n".join([*map(str, letter.values()), text, page, letter.as_bytes().decode("latin-1")])
    plain = re.sub(r"[\s.,/•-]", "", whole)
    for secret in cast.secrets():
        if any(shape in whole or shape.replace("-", "") in plain for shape in spellings(secret)):
            yield f"a secret: {secret!r}"


# --- all of them ------------------------------------------------------------------------------
def test_every_kind_of_mail_is_sent_here() -> None:
    assert set(ACTS) == KINDS


@pytest.mark.parametrize("language", ["fr", "nl", "de", "en"])
def test_every_mail_says_the_same_twice_leads_home_and_holds_no_secret(language: str) -> None:
    cast, wrong, said, subjects = Cast(language), [], [], defaultdict(set)
    for act in dict.fromkeys(act for acts in ACTS.values() for act in acts):
        kinds = {kind for kind, acts in ACTS.items() if act in acts}
        with undone():
            letters = list(sent_by(cast, act))
            assert {kind for kind, _letter in letters} == kinds, act
            for kind, letter in letters:
                found = [*oddities(letter, kind, language), *secrets_in(letter, cast)]
                wrong += [f"{kind} of {act.__name__}: {what}" for what in found]
                said += [letter["Subject"], " ".join(halves(letter)[0].split())]
                subjects[letter["Subject"]].add(kind)
    assert not wrong, "\n" + "\n".join(sorted(set(wrong)))
    assert len(said) >= 2 * len(KINDS)
    assert {kinds for kinds in map(frozenset, subjects.values()) if len(kinds) > 1} == set()
    names = {name for person in cast.people.values() for name in (person.first_name, person.last_name)}
    assert [subject for subject in subjects for name in names if name in subject] == []
    if language == "fr":
        assert unsaid("\n".join(said)) == []


def unsaid(said: str) -> list[str]:
    """Sentences in the templates of mails that no mail has said: an act is missing."""
    files = (configured.BASE_DIR / "templates/accounts/emails").glob("*.txt")
    sources = {found[0] or found[1] for file in files for found in SENTENCES.findall(file.read_text())}
    return [source for source in sources if any(piece.strip() not in said for piece in PLACES.split(source))]


# --- the letter box of the demonstration ------------------------------------------------------
def test_the_letter_box_shows_both_halves_of_what_was_sent(settings: Settings, tmp_path: Path) -> None:
    settings.DEMO, settings.ROOT_URLCONF = True, "tests.test_languages"
    settings.OUTBOX_DIR = settings.EMAIL_FILE_PATH = str(tmp_path / "outbox")
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    ACTS["invitation"][0](Cast("nl"))
    row = Mail.objects.get(kind="invitation")
    content = emails.open_content(row)
    assert emails.deliver(pk=row.pk, now=timezone.now())
    name = re.findall(r"/outbox/([\w.-]+)/", Client().get("/outbox/").content.decode())[0]
    shown = Client().get(f"/outbox/{name}/").content.decode().partition('<div class="card mail">')[2]
    words = markup.unescape(re.sub(r"<[^>]*>", " ", shown.partition("</div>")[0])).split()
    assert words == content.text.split()
    page = Client().get(f"/outbox/{name}/html/")
    assert page.content.decode().strip() == content.html.strip()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


# --- no other way out -------------------------------------------------------------------------
def makers_of_mail(files: Iterable[Path], folder: Path) -> set[str]:
    importing = re.compile(r"^\s*(from|import) django\.core(\.mail| import mail)", re.MULTILINE)
    return {file.relative_to(folder).as_posix() for file in files if importing.search(file.read_text())}


def test_mails_are_sent_in_one_place() -> None:
    assert makers_of_mail(sources(*APPS), configured.BASE_DIR) == {"accounts/emails.py"}
    # Nobody is whom the framework would report to.
    assert not configured.ADMINS and not configured.MANAGERS


def test_the_library_of_sign_in_sends_nothing_of_its_own() -> None:
    """All that it would mail passes by one method of the adapter, and ours is silent."""
    folder = Path(allauth.__file__).parent
    files = (file for part in ("account", "core", "mfa", "utils") for file in folder.glob(f"{part}*/**/*.py"))
    assert makers_of_mail(files, folder) == {"account/adapter.py"}
    way_out = inspect.getsource(DefaultAccountAdapter.send_mail)
    assert [
        inspect.getsource(DefaultAccountAdapter).count(act) for act in (".send()", "self.render_mail(")
    ] == [1, 1]
    assert ".send()" in way_out and "self.render_mail(" in way_out
    user, request = UserFactory(verified=False), RequestFactory().get("/")
    with request_context(request):
        adapter = get_adapter()
        adapter.send_mail("account/email/login_code", user.email, {"code": "123456"})
        adapter.send_notification_mail("account/email/password_changed", user, email=user.email)
        adapter.send_password_reset_mail(user, user.email, {"password_reset_url": "x"})
        EmailConfirmationHMAC(EmailAddress.objects.get(user=user)).send(request)
    assert outbox.outbox == [] and not Mail.objects.exists()
