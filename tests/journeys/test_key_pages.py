"""The key pages as a person uses them, in a real Chromium against endpoints that check every proof."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import BrowserContext, Page, expect

from tests.journeys.harness import server as harness
from tests.journeys.harness.bench import (
    CLEAR,
    CODE,
    DER,
    PEM,
    PKCS8,
    RSA_KEY,
    SPKI,
    VECTOR,
    VECTOR_PRINT,
    VECTOR_SPKI,
    assert_mac,
    assert_nothing_leaked,
    certificate,
    choose,
    decrypt_outside,
    error_code,
    generate,
    keystore,
    know_vector,
    openssl_file,
    press_generate,
    registered,
    visit,
)

pytest_plugins = ["tests.journeys.harness.fixtures"]
pytestmark = pytest.mark.browser

WRONG_FILES: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "file_not_key"),
    ("text", lambda: b"Bonjour, ceci est une lettre.", "file_not_key"),
    ("picture", lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "file_not_key"),
    ("megabyte", lambda: VECTOR * 400, "file_too_large"),
    ("keystore", keystore, "file_is_keystore"),
    ("certificate", certificate, "file_is_keystore"),
    ("public DER", lambda: SPKI, "file_is_public"),
    ("public PEM", lambda: b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(SPKI), "file_is_public"),
    ("clear DER", lambda: PKCS8, "file_unprotected"),
    ("clear hex", lambda: PKCS8.hex().encode(), "file_unprotected"),
    (
        "clear PEM",
        lambda: RSA_KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, CLEAR),
        "file_unprotected",
    ),
    (
        "PKCS#1",
        lambda: RSA_KEY.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, CLEAR),
        "file_unprotected",
    ),
    ("cut", lambda: VECTOR[:1500], "wrong_code_or_damaged"),
    ("AES-128", lambda: openssl_file("aes-128-cbc", "hmacWithSHA256"), "file_unsupported"),
    ("other PRF", lambda: openssl_file("aes-256-cbc", "hmacWithSHA512"), "file_unsupported"),
    ("foreign key", lambda: openssl_file("aes-256-cbc", "hmacWithSHA256"), "wrong_code_or_damaged"),
    ("no integrity", lambda: re.sub(rb"Integrity.*\n", b"", VECTOR), "wrong_code_or_damaged"),
    ("other header", lambda: VECTOR.replace(b"362eaf79", b"462eaf79"), "key_mismatch"),
]


@pytest.mark.parametrize(
    ("make", "code"), [row[1:] for row in WRONG_FILES], ids=[row[0] for row in WRONG_FILES]
)
def test_a_wrong_file_is_named_before_any_code_is_asked(
    tab: Page, desk: harness.Portal, make: Callable[[], bytes], code: str
) -> None:
    know_vector(desk)
    visit(tab, desk, "backup")
    choose(tab, make())
    assert error_code(tab) == code
    expect(tab.locator("[data-key-code-section]")).to_be_hidden()
    assert desk.bodies == []


def test_the_made_file_opens_elsewhere_and_nothing_private_was_sent(
    tab: Page, desk: harness.Portal, tmp_path: Path
) -> None:
    saved = generate(tab, desk, tmp_path)
    registered(tab)
    code, text = desk.code, saved.read_bytes()
    assert saved.name == f"medisetup-cle-anne.verite-{desk.fingerprint[:8]}.pem"
    assert_mac(text, code)
    pkcs8 = decrypt_outside(saved, code)
    public = serialization.load_der_private_key(pkcs8, None).public_key()
    assert public.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo) == desk.spki
    assert public.key_size == 3072  # type: ignore[union-attr]
    assert desk.proved == ["register"] and desk.forms[0][1]["protection"] == "portal"
    assert_nothing_leaked(desk, pkcs8, text, code)
    expect(tab.locator("[data-sheet=code]")).to_have_text(code)
    expect(tab.locator("[data-sheet=command]")).to_have_text(
        f"openssl pkey -in {saved.name} -passin stdin -check"
    )


def test_the_device_holds_one_key_that_cannot_be_exported(
    tab: Page, desk: harness.Portal, tmp_path: Path
) -> None:
    generate(tab, desk, tmp_path)
    registered(tab)
    tab.get_by_role("link", name="Continuer").click()
    tab.goto(f"{desk.origin}/key/rotate/")
    record = tab.evaluate(
        """async ([user, print]) => { const device = await import("/static/js/keys/device.js");
        const key = await device.loadDeviceKey(user, print);
        const refused = await crypto.subtle.exportKey("pkcs8", key).catch((error) => error.name);
        const other = await device.loadDeviceKey(user, "00");
        return [key.extractable, key.usages, refused, JSON.stringify(key), other,
                localStorage.length + sessionStorage.length]; }""",
        [harness.USER, desk.fingerprint],
    )
    assert record == [False, ["sign"], "InvalidAccessError", "{}", None, 0]


def test_the_saved_file_proves_the_backup_with_the_code_of_the_portal(
    tab: Page, desk: harness.Portal, tmp_path: Path
) -> None:
    saved = generate(tab, desk, tmp_path)
    registered(tab)
    tab.get_by_role("link", name="Continuer").click()
    visit(tab, desk, "backup")
    choose(tab, saved.read_bytes())
    expect(tab.locator("[data-key-code-section]")).to_be_visible()
    tab.get_by_role("button", name="Vérifier").press("Enter")
    tab.wait_for_url("**/done/")
    assert desk.proved == ["register", "backup"]


def test_the_code_of_the_portal_needs_a_second_proof_and_the_page_follows(
    tab: Page, desk: harness.Portal
) -> None:
    know_vector(desk)
    desk.second_proof = False
    visit(tab, desk, "backup")
    choose(tab, VECTOR)
    tab.get_by_role("button", name="Vérifier").click()
    tab.wait_for_url("**/second-proof/?next=/key/backup/")
    assert desk.proved == []


TYPED = [
    ("k7q2m9zxcvabcde12345fghjp", ""),
    ("K7Q2M-9ZXCV-ABCDE-L2345-FGHJP", ""),
    ("K7Q2M-9ZXCV-ABCDE-12345-FGHJQ", "code_mistyped"),
    ("K7Q2M", "code_mistyped"),
    ("00000-00000-00000-00000-0000" + "", "code_mistyped"),
]


@pytest.mark.parametrize(("typed", "code"), TYPED)
def test_the_typed_code_is_corrected_or_refused_and_the_page_stays_usable(
    tab: Page, desk: harness.Portal, typed: str, code: str
) -> None:
    know_vector(desk)
    visit(tab, desk, "backup")
    choose(tab, VECTOR)
    tab.get_by_label("Code").fill(typed)
    tab.get_by_label("Code").press("Enter")
    if code:
        assert error_code(tab) == code
        tab.get_by_label("Code").fill(CODE)
        tab.get_by_role("button", name="Vérifier").click()
    tab.wait_for_url("**/done/")
    assert desk.proved == ["backup"]


def test_a_well_formed_but_wrong_code_says_so(tab: Page, desk: harness.Portal) -> None:
    know_vector(desk)
    visit(tab, desk, "backup")
    other = tab.evaluate('async () => (await import("/static/js/keys/code.js")).makeCode()')
    choose(tab, VECTOR)
    tab.get_by_label("Code").fill(other)
    tab.get_by_role("button", name="Vérifier").click()
    assert error_code(tab) == "wrong_code_or_damaged"
    assert desk.bodies == []


def test_nothing_chosen_is_said(tab: Page, desk: harness.Portal) -> None:
    know_vector(desk)
    visit(tab, desk, "import")
    tab.get_by_role("button", name="Vérifier").click()
    assert error_code(tab) == "file_missing"


def test_another_key_is_refused_with_both_fingerprints(tab: Page, desk: harness.Portal) -> None:
    know_vector(desk)
    desk.spki = SPKI
    visit(tab, desk, "import")
    choose(tab, VECTOR)
    assert error_code(tab) == "key_mismatch"
    mine = hashlib.sha256(SPKI).hexdigest()[:4].upper()
    sentence = tab.locator("[data-key-error]").inner_text()
    assert "362E AF79 F179 1B14 1E54 376E EBD5 F613" in sentence and f"de {mine} " in sentence
    desk.superseded = {VECTOR_PRINT: "3 mai 2026"}
    visit(tab, desk, "import")
    choose(tab, VECTOR)
    assert error_code(tab) == "key_superseded"
    expect(tab.locator("[data-key-error]")).to_have_text("Remplacée le 3 mai 2026.")


@pytest.mark.parametrize("shared", [False, True])
def test_the_imported_key_serves_later_sign_ins_unless_the_computer_is_shared(
    tab: Page, desk: harness.Portal, shared: bool
) -> None:
    know_vector(desk)
    visit(tab, desk, "import")
    choose(tab, VECTOR)
    tab.get_by_label("Poste partagé").set_checked(shared)
    tab.get_by_role("button", name="Vérifier").click()
    tab.wait_for_url("**/done/")
    tab.goto(f"{desk.origin}/key/session/")
    tab.wait_for_url("**/key/import/" if shared else "**/done/")
    assert desk.proved == (["import"] if shared else ["import", "session"])


def test_a_refused_session_offers_another_try(tab: Page, desk: harness.Portal) -> None:
    know_vector(desk)
    visit(tab, desk, "import")
    choose(tab, VECTOR)
    tab.get_by_role("button", name="Vérifier").click()
    tab.wait_for_url("**/done/")
    desk.refusal = (429, {"code": "throttled", "message": "Réessayez dans 3 minutes."})
    visit(tab, desk, "session")
    expect(tab.locator("[data-key-error]")).to_have_text("Réessayez dans 3 minutes.")
    tab.get_by_role("button", name="Réessayer").click()
    tab.wait_for_url("**/done/")


def test_rotation_signs_with_both_keys_and_gives_a_new_file(
    tab: Page, desk: harness.Portal, tmp_path: Path
) -> None:
    know_vector(desk)
    visit(tab, desk, "rotate")
    choose(tab, VECTOR)
    expect(tab.locator("[data-key-code-section]")).to_be_visible()
    saved = press_generate(tab, tmp_path)
    registered(tab)
    assert desk.proved == ["rotate-old", "rotate-new"]
    assert desk.fingerprint != VECTOR_PRINT and desk.fingerprint[:8] in saved.name
    decrypt_outside(saved, desk.code)
    tab.get_by_role("link", name="Continuer").click()
    tab.goto(f"{desk.origin}/key/session/")
    tab.wait_for_url("**/done/")


def test_an_own_passphrase_never_leaves_the_browser(tab: Page, desk: harness.Portal, tmp_path: Path) -> None:
    visit(tab, desk, "generate")
    tab.get_by_label("Ma phrase").check()
    for first, second, code in [
        ("court", "court", "passphrase_short"),
        ("trois chênes gris", "trois chenes gris", "passphrase_differs"),
        ("anne.verite et moi", "anne.verite et moi", "passphrase_personal"),
        ("aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "passphrase_simple"),
    ]:
        tab.get_by_label("Phrase", exact=True).fill(first)
        tab.get_by_label("Encore").fill(second)
        tab.get_by_role("button", name="GÉNÉRER").click()
        expect(tab.locator(f"[data-key-error][data-code={code}]")).to_be_focused()
    tab.get_by_label("Phrase", exact=True).fill("trois chênes gris")
    tab.get_by_label("Encore").fill("trois chênes gris")
    saved = press_generate(tab, tmp_path)
    registered(tab)
    decrypt_outside(saved, "trois chênes gris")
    assert (desk.protection, desk.code) == ("personal", "")
    assert not any("chênes".encode() in body or b"ch%C3%AAnes" in body for body in desk.bodies)
    expect(tab.locator("[data-key-code-part]")).to_be_hidden()


def test_an_unprotected_file_is_saved_again_under_protection(
    tab: Page, desk: harness.Portal, tmp_path: Path
) -> None:
    desk.purpose, desk.integrity = "register", "optional"
    visit(tab, desk, "import")
    choose(tab, PKCS8.hex().encode(), "abc-icc-priv.2048.key")
    expect(tab.locator("[data-key-unprotected]")).to_be_visible()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Vérifier").click()
    waiting.value.save_as(tmp_path / "key.pem")
    registered(tab)
    assert decrypt_outside(tmp_path / "key.pem", desk.code) == PKCS8
    assert desk.forms[0][1]["origin"] == "icure" and desk.spki == SPKI
    assert_nothing_leaked(desk, PKCS8, (tmp_path / "key.pem").read_bytes(), desk.code)


def test_a_protected_file_of_another_portal_is_registered_with_its_code(
    tab: Page, desk: harness.Portal
) -> None:
    desk.purpose, desk.integrity = "register", "optional"
    visit(tab, desk, "import")
    choose(tab, VECTOR)
    tab.get_by_label("Code").fill(CODE)
    tab.get_by_role("button", name="Vérifier").click()
    tab.wait_for_url("**/done/")
    form = desk.forms[0][1]
    assert (form["origin"], form["protection"], form["file_code"]) == ("imported", "portal", CODE)
    assert desk.spki == VECTOR_SPKI


def test_a_refused_registration_keeps_the_pair_for_the_next_try(
    tab: Page, desk: harness.Portal, tmp_path: Path
) -> None:
    desk.refusal = (409, {"code": "challenge_invalid"})
    saved = generate(tab, desk, tmp_path)
    assert error_code(tab) == "challenge_invalid"
    tab.get_by_role("button", name="GÉNÉRER").click()
    registered(tab)
    assert desk.fingerprint[:8] in saved.name


def test_a_signed_action_binds_every_field(tab: Page, desk: harness.Portal) -> None:
    know_vector(desk)
    visit(tab, desk, "action")
    choose(tab, VECTOR)
    reason = 'Clé perdue, « été » "x"\\\nligne 2'
    tab.get_by_label("Raison").fill(reason)
    tab.get_by_role("button", name="Vérifier").click()
    tab.wait_for_url("**/done/")
    canonical = ["key-reset", "11111111-1111-4111-8111-111111111111", [["reason", reason]]]
    text = json.dumps(canonical, ensure_ascii=False, separators=(",", ":"))
    asked = [json.loads(body) for body in desk.bodies if body.startswith(b'{"purpose"')]
    assert asked == [{"purpose": "action", "binding": hashlib.sha256(text.encode()).hexdigest()}]
    assert desk.forms[0][1]["reason"] == reason


def test_two_tabs_do_not_make_two_keys(computer: BrowserContext, tab: Page, desk: harness.Portal) -> None:
    visit(tab, desk, "generate")
    tab.evaluate("() => { navigator.locks.request('medisetup-key', () => new Promise(() => undefined)); }")
    second = computer.new_page()
    visit(second, desk, "generate")
    second.get_by_role("button", name="GÉNÉRER").click()
    assert error_code(second) == "other_tab"
    assert desk.bodies == []


def test_plain_http_gives_the_address_to_use_and_no_button(
    computer: BrowserContext, desk: harness.Portal
) -> None:
    tab = computer.new_page()
    desk.expected_origin = "https://portail.test"
    tab.goto(desk.origin.replace("localhost", "portail.test") + "/key/generate/")
    assert error_code(tab) == "not_secure"
    expect(tab.locator("[data-key-error]")).to_have_text(
        "Adresse à utiliser : https://portail.test/key/generate/"
    )
    expect(tab.get_by_role("button", name="GÉNÉRER")).to_have_count(0)


def test_a_browser_without_storage_still_works_from_the_file(
    tab: Page, desk: harness.Portal, tmp_path: Path
) -> None:
    tab.add_init_script(
        "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
    )
    saved = generate(tab, desk, tmp_path)
    registered(tab)
    expect(tab.locator("[data-key-private]")).to_be_visible()
    decrypt_outside(saved, desk.code)


def test_a_browser_without_webcrypto_is_told_so(tab: Page, desk: harness.Portal) -> None:
    tab.add_init_script("delete Crypto.prototype.subtle;")
    tab.goto(f"{desk.origin}/key/generate/")
    assert error_code(tab) == "no_webcrypto"
    expect(tab.get_by_role("button", name="GÉNÉRER")).to_have_count(0)
