"""A doctor's key from the first click to another computer, in a real Chromium against the real portal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import BrowserContext, Page, Request, expect

from accounts.models import PersonalKey, User
from tests.accounts.factories import PASSWORD, UserFactory
from tests.accounts.keypairs import Pair, stored

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SLOW = 60_000

Contexts = Callable[..., BrowserContext]


@pytest.fixture
def origin(live_server: Any, settings: Any) -> str:
    """The portal as proofs name it: Chromium counts localhost as a secure context."""
    origin: str = live_server.url.replace("127.0.0.1", "localhost")
    settings.PORTAL_ORIGIN = origin
    settings.CSRF_TRUSTED_ORIGINS = [origin]
    return origin


@pytest.fixture
def doctor() -> User:
    return UserFactory(key=False)


def computer(new_context: Contexts) -> tuple[Page, list[bytes]]:
    """A fresh computer, and the bodies it sends."""
    context = new_context(accept_downloads=True)
    sent: list[bytes] = []
    context.on("request", lambda request: sent.append(body_of(request)))
    return context.new_page(), sent


def body_of(request: Request) -> bytes:
    return request.post_data_buffer or b""


def sign_in(page: Page, origin: str, user: User) -> None:
    page.goto(f"{origin}/signin/")
    page.locator("#id_login").fill(user.login)
    page.locator("#id_password").fill(PASSWORD)
    page.get_by_role("button", name="Se connecter").click()


def press_and_save(page: Page, name: str, folder: Path) -> Path:
    with page.expect_download(timeout=SLOW) as waiting:
        page.get_by_role("button", name=name).click()
    saved = folder / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    expect(page.get_by_role("heading", name="Votre clé est enregistrée")).to_be_focused(timeout=SLOW)
    return saved


def use_file(page: Page, file: Path, button: str) -> None:
    page.locator("[data-ready]").wait_for(state="attached")
    page.locator("[data-key-file]").set_input_files(file)
    expect(page.locator("[data-key-code-section]")).to_be_visible()
    page.get_by_role("button", name=button).click()


def at_home(page: Page, origin: str) -> None:
    expect(page).to_have_url(f"{origin}/", timeout=SLOW)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ma configuration")


def make_key(page: Page, origin: str, user: User, folder: Path) -> tuple[Path, str]:
    """Sign in, generate, verify the backup, reach home; the file and its code."""
    sign_in(page, origin, user)
    expect(page).to_have_url(re.compile("/key/"))
    page.locator("[data-ready]").wait_for(state="attached")
    saved = press_and_save(page, "GÉNÉRER", folder)
    code = page.locator("[data-key-slot=code]").inner_text()
    page.get_by_role("link", name="Continuer").click()
    use_file(page, saved, "Vérifier ma sauvegarde")
    at_home(page, origin)
    return saved, code


def test_from_the_first_click_to_another_computer(
    new_context: Contexts, origin: str, doctor: User, tmp_path: Path
) -> None:
    page, sent = computer(new_context)
    saved, code = make_key(page, origin, doctor, tmp_path)
    row = PersonalKey.objects.get(user=doctor)
    private = serialization.load_pem_private_key(saved.read_bytes(), code.encode())
    der, shape = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert row.state == "active" and private.public_key().public_bytes(der, shape) == bytes(row.spki)
    assert re.fullmatch(rf"medisetup-cle-.+-{row.fingerprint[:8]}\.pem", saved.name)
    assert not any(b"PRIVATE" in body or b'"d"' in body for body in sent)

    other, _sent = computer(new_context)
    sign_in(other, origin, doctor)
    expect(other).to_have_url(re.compile("/key/import/"))
    use_file(other, saved, "Importer ma clé")
    at_home(other, origin)
    other.context.clear_cookies()
    sign_in(other, origin, doctor)
    at_home(other, origin)


def test_a_wrong_file_names_both_fingerprints(
    new_context: Contexts, origin: str, doctor: User, tmp_path: Path
) -> None:
    page, _sent = computer(new_context)
    saved, _code = make_key(page, origin, doctor, tmp_path)
    colleague = UserFactory(key=False)
    stored(colleague, pair := Pair())
    other, _sent = computer(new_context)
    sign_in(other, origin, colleague)
    expect(other).to_have_url(re.compile("/key/import/"))
    other.locator("[data-ready]").wait_for(state="attached")
    other.locator("[data-key-file]").set_input_files(saved)
    error = other.locator("[data-key-error]")
    expect(error).to_contain_text(pair.fingerprint[:4].upper())
    expect(error).to_contain_text(PersonalKey.objects.get(user=doctor).fingerprint[:4].upper())


def test_after_a_rotation_the_old_file_is_named(
    new_context: Contexts, origin: str, doctor: User, tmp_path: Path
) -> None:
    page, _sent = computer(new_context)
    old, _code = make_key(page, origin, doctor, tmp_path)
    page.goto(f"{origin}/key/rotate/")
    page.locator("[data-ready]").wait_for(state="attached")
    press_and_save(page, "Renouveler ma clé", tmp_path)
    page.get_by_role("link", name="Continuer").click()
    page.locator("[data-ready]").wait_for(state="attached")
    page.locator("[data-key-file]").set_input_files(old)
    expect(page.locator("[data-key-error]")).to_contain_text("remplacée")
    assert [key.state for key in PersonalKey.objects.order_by("pk")] == ["superseded", "pending"]


def test_the_plain_forms_of_a_key_page_are_taken(
    new_context: Contexts, origin: str, doctor: User, tmp_path: Path
) -> None:
    page, _sent = computer(new_context)
    sign_in(page, origin, doctor)
    page.locator("[data-ready]").wait_for(state="attached")
    press_and_save(page, "GÉNÉRER", tmp_path)
    page.get_by_role("link", name="Continuer").click()
    page.get_by_role("button", name="Plus tard").click()
    at_home(page, origin)
    page.goto(f"{origin}/key/backup/")
    page.get_by_role("button", name="Je n'ai pas le fichier").click()
    expect(page.get_by_role("button", name="GÉNÉRER")).to_be_visible()
    assert PersonalKey.objects.get().state == "revoked"
    page.get_by_role("button", name="Se déconnecter").click()
    expect(page).to_have_url(re.compile("/signin/"))


def test_the_sheet_alone_is_printed(new_context: Contexts, origin: str, doctor: User, tmp_path: Path) -> None:
    page, _sent = computer(new_context)
    sign_in(page, origin, doctor)
    page.locator("[data-ready]").wait_for(state="attached")
    press_and_save(page, "GÉNÉRER", tmp_path)
    page.evaluate("document.documentElement.dataset.print = 'sheet'")
    page.emulate_media(media="print")
    expect(page.locator("[data-key-sheet]")).to_be_visible()
    expect(page.locator("[data-sheet=code]")).to_have_text(page.locator("[data-key-slot=code]").inner_text())
    expect(page.get_by_role("heading", level=1)).to_be_hidden()
    expect(page.get_by_role("link", name="Continuer")).to_be_hidden()


def test_an_administrator_signs_a_reset(
    new_context: Contexts, origin: str, doctor: User, tmp_path: Path
) -> None:
    admin = UserFactory(key=False, practice=doctor.practice, roles=["admin"])
    stored(doctor, Pair())
    page, sent = computer(new_context)
    make_key(page, origin, admin, tmp_path)
    page.goto(f"{origin}/people/{doctor.uuid}/key/reset/")
    page.locator("[data-ready]").wait_for(state="attached")
    page.get_by_label("Raison").fill("Ordinateur volé\nle « 12 » mars & retrouvé")
    page.get_by_role("button", name="Demander la réinitialisation").click()
    expect(page.get_by_text("Demandée par")).to_be_visible()
    asked = [json.loads(body) for body in sent if body.startswith(b'{"purpose":"action"')]
    assert len(asked) == 1
