"""Every key page in every state: valid, complete for its script, without a word of a secret."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.actions.keys import KeyFile, live_key
from accounts.models import KeyReset, User
from tests.accounts.factories import UserFactory
from tests.accounts.keypairs import CODE, Pair, stored
from tests.client import CheckingClient
from tests.conftest import sign_in

PAIR = Pair()
SOURCES = Path(settings.BASE_DIR, "static/js")
SCRIPTS = [SOURCES / "keys.js", *SOURCES.glob("keys/*.js")]

pytestmark = pytest.mark.django_db


@pytest.fixture
def doctor() -> User:
    return UserFactory(key=False)


def open_page(user: User, url: str) -> str:
    response = sign_in(CheckingClient(), user).get(url)
    assert response.status_code == 200, (url, response.status_code)
    page: str = response.content.decode()
    return page


def test_pages_without_a_key(doctor: User) -> None:
    assert 'data-key-page="generate"' in open_page(doctor, "/key/")
    page = open_page(doctor, "/key/import/")
    assert 'data-purpose="register"' in page and 'action="/key/register/"' in page


@pytest.mark.parametrize("pending", [True, False])
def test_pages_with_a_key(doctor: User, pending: bool) -> None:
    stored(doctor, PAIR, pending=pending, prepared=True)
    now = timezone.now()
    until = now + timedelta(hours=72)
    KeyReset.objects.create(subject=doctor, by=UserFactory(), reason="x" * 12, opens_at=now, ends_at=until)
    for url in ("", "backup/", "import/", "session/", "rotate/", "prepared/", "revoke/", "lost/"):
        page = open_page(doctor, f"/key/{url}")
        assert CODE not in page
    assert f'data-fingerprint="{PAIR.fingerprint}"' in open_page(doctor, "/key/backup/")


def test_the_page_of_a_reset(doctor: User) -> None:
    admin = UserFactory(practice=doctor.practice, roles=["admin"])
    url = f"/people/{doctor.uuid}/key/reset/"
    assert "n&#x27;a pas de clé" in open_page(admin, url) or "n'a pas de clé" in open_page(admin, url)
    stored(doctor, PAIR)
    page = open_page(admin, url)
    assert f'data-action="key-reset" data-subject="{doctor.uuid}"' in page
    assert f'data-fingerprint="{live_key(admin).fingerprint}"' in page


def test_every_sentence_that_the_scripts_name_is_on_the_page(doctor: User) -> None:
    page = open_page(doctor, "/key/")
    known = set(re.findall(r'data-message="(\w+)"', page))
    named: set[str] = set()
    for script in SCRIPTS:
        text = script.read_text()
        named |= set(re.findall(r'KeyFault\(\s*"(\w+)"', text)) | set(re.findall(r'status\("(\w+)"', text))
    assert len(named) > 20 and not named - known


def test_an_imported_file_need_not_carry_our_integrity_line(doctor: User) -> None:
    stored(doctor, PAIR, file=KeyFile("personal"), origin="imported")
    assert 'data-integrity="optional"' in open_page(doctor, "/key/import/")
