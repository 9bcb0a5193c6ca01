"""What the tests of the key scripts share: steps on a page, the vector, wrong files, judges of a key file."""

import base64
import hashlib
import hmac
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import pkcs12
from playwright.sync_api import Page, expect

from tests.journeys.harness import server as harness

CODE = "K7Q2M-9ZXCV-ABCDE-12345-FGHJP"
VECTOR = (Path(__file__).parent / "vector1.pem").read_bytes()
VECTOR_SPKI = base64.b64decode((Path(__file__).parent / "vector1.spki").read_text())
VECTOR_PRINT = "362eaf79f1791b141e54376eebd5f61364636e61f4a31773d9d47433fd9eae27"
CLEAR = serialization.NoEncryption()


def visit(tab: Page, desk: harness.Portal, kind: str) -> None:
    tab.goto(f"{desk.origin}/key/{kind}/")
    expect(tab.locator("[data-ready]")).to_be_attached()


def error_code(tab: Page) -> str:
    box = tab.locator("[data-key-error]")
    expect(box).to_be_visible(timeout=20_000)
    expect(box).to_be_focused()
    return box.get_attribute("data-code") or ""


def choose(tab: Page, data: bytes, name: str = "medisetup-cle.pem") -> None:
    tab.locator("[data-key-file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def know_vector(desk: harness.Portal) -> None:
    desk.spki, desk.protection, desk.code = VECTOR_SPKI, "portal", CODE


def generate(tab: Page, desk: harness.Portal, tmp_path: Path) -> Path:
    visit(tab, desk, "generate")
    return press_generate(tab, tmp_path)


def press_generate(tab: Page, tmp_path: Path) -> Path:
    with tab.expect_download(timeout=60_000) as waiting:
        tab.get_by_role("button", name="GÉNÉRER").click()
    saved = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    return saved


def registered(tab: Page) -> None:
    expect(tab.get_by_role("heading", name="Clé enregistrée")).to_be_focused(timeout=60_000)


RSA_KEY = rsa.generate_private_key(65537, 2048)
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
PKCS8 = RSA_KEY.private_bytes(DER, serialization.PrivateFormat.PKCS8, CLEAR)
SPKI = RSA_KEY.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def keystore() -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"eHealth", RSA_KEY, None, None, serialization.BestAvailableEncryption(b"secret")
    )


def certificate() -> bytes:

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "SSIN=1")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, RSA_KEY.public_key(), 1, begin, begin + timedelta(days=9))

    return made.sign(RSA_KEY, SHA256()).public_bytes(DER)


def openssl_file(cipher: str, prf: str) -> bytes:
    command = [
        "openssl",
        "pkcs8",
        "-topk8",
        "-inform",
        "DER",
        "-v2",
        cipher,
        "-v2prf",
        prf,
        "-passout",
        "pass:secret",
    ]
    return subprocess.run(command, input=PKCS8, capture_output=True, check=True).stdout


def assert_mac(text: bytes, code: str) -> None:
    head, _, rest = text.partition(b"Integrity: hmac-sha256 ")
    tag, _, pem = rest.partition(b"\n\n")
    der = base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))
    salt = der[der.index(b"\x04\x10") + 2 :][:16]
    derived = hashlib.pbkdf2_hmac("sha256", code.encode(), salt, 600_000, 64)
    assert hmac.new(derived[32:], head + der, "sha256").hexdigest().encode() == tag


def decrypt_outside(path: Path, code: str) -> bytes:
    checked = subprocess.run(
        ["openssl", "pkey", "-in", path, "-passin", "stdin", "-check"],
        input=code.encode(),
        capture_output=True,
    )
    assert checked.returncode == 0 and b"Key is valid" in checked.stdout + checked.stderr
    key = serialization.load_pem_private_key(path.read_bytes(), code.encode())
    return key.private_bytes(DER, serialization.PrivateFormat.PKCS8, CLEAR)


def assert_nothing_leaked(desk: harness.Portal, pkcs8: bytes, text: bytes, code: str) -> None:
    exponent = b"\x02\x03\x01\x00\x01"
    secret = pkcs8[pkcs8.index(exponent) + len(exponent) :]  # what precedes is the public half
    windows = [base64.b64encode(secret[start:])[:40] for start in range(3)]
    windows += [secret[:20], secret[:20].hex().encode(), text[-200:-150], b"PRIVATE", b'"d"']
    for body in desk.bodies:
        assert not any(window in unquote_to_bytes(body) for window in windows)
        assert code.encode() not in re.sub(rb"&file_code=[^&]*", b"", body)
