"""File format, file code and proof of the personal key, in Chromium under the strict content policy."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from playwright.sync_api import Page

from tests.journeys.harness import server as harness
from tests.journeys.harness.bench import (
    CODE,
    DER,
    SPKI,
    VECTOR,
    VECTOR_PRINT,
    VECTOR_SPKI,
    assert_mac,
    openssl_file,
)

pytest_plugins = ["tests.journeys.harness.fixtures"]
pytestmark = pytest.mark.browser

OPEN = """async ([bytes, code, options]) => {
  const file = await import("/static/js/keys/file.js");
  const { proofMessage, signProof } = await import("/static/js/keys/proof.js");
  try {
    const parsed = file.readKeyFile(Uint8Array.from(bytes), options);
    const { key, fingerprint, spki } = await file.openKeyFile(parsed, code, options);
    return { extractable: key.extractable, usages: key.usages, fingerprint, spki: spki && [...spki] };
  } catch (error) { return { code: error.code ?? String(error) }; }
}"""


def opened(tab: Page, data: bytes, code: str = CODE, **options: object) -> dict[str, object]:
    given = {"expected": VECTOR_PRINT, **options}
    found: dict[str, object] = tab.evaluate(OPEN, [list(data), code, given])
    return found


def test_vector_one_opens_to_a_key_that_signs_and_cannot_be_exported(modules: Page) -> None:
    found = opened(modules, VECTOR)
    assert found == {"extractable": False, "usages": ["sign"], "fingerprint": VECTOR_PRINT, "spki": None}


def test_the_public_half_is_found_when_it_is_wanted(modules: Page) -> None:
    assert bytes(opened(modules, VECTOR, wantPublic=True)["spki"]) == VECTOR_SPKI  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [lambda b: b.replace(b"\n", b"\r\n"), lambda b: b"\xef\xbb\xbf" + b])
def test_line_ends_and_byte_order_mark_do_not_matter(modules: Page, change: Callable[[bytes], bytes]) -> None:
    assert opened(modules, change(VECTOR))["fingerprint"] == VECTOR_PRINT


FIELDS = {
    "purpose": "register",
    "origin": "https://portail.example",
    "user": "0b0e7a52-6f5e-4c39-9d0b-6a1f5f0c2d11",
    "id": "Y2hhbGxlbmdlLTAwMDE",
    "nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "fingerprint": VECTOR_PRINT,
}
MESSAGE = """async (fields) => {
  const { proofMessage } = await import("/static/js/keys/proof.js");
  try { return proofMessage(fields); } catch (error) { return error.code; }
}"""
SIGN = """async ([bytes, code, fields]) => {
  const { openKeyFile, readKeyFile } = await import("/static/js/keys/file.js");
  const { signProof } = await import("/static/js/keys/proof.js");
  const { key } = await openKeyFile(readKeyFile(Uint8Array.from(bytes)), code);
  return signProof(key, fields);
}"""


def test_the_proof_message_is_the_published_one(modules: Page) -> None:
    digest = hashlib.sha256(modules.evaluate(MESSAGE, FIELDS).encode()).hexdigest()
    assert digest == "2beddc43e99a6a5b5715a9c1ef760ef220f3d1aad1dd735e4b215865d669681a"


def test_a_proof_verifies_for_its_purpose_and_for_no_other(modules: Page) -> None:
    proof = base64.b64decode(modules.evaluate(SIGN, [list(VECTOR), CODE, FIELDS]))
    message = "\n".join(["medisetup-key-proof-v1", *FIELDS.values(), "-"])
    key = serialization.load_der_public_key(VECTOR_SPKI)
    assert isinstance(key, rsa.RSAPublicKey)
    pss = padding.PSS(padding.MGF1(SHA256()), salt_length=32)
    key.verify(proof, message.encode(), pss, SHA256())
    with pytest.raises(InvalidSignature):
        key.verify(proof, message.replace("register", "backup").encode(), pss, SHA256())


WRONG_FIELDS = {
    "id": "A" * 22 + "\nx",
    "purpose": "login",
    "nonce": "short",
    "binding": "a",
    "origin": "javascript:",
}


@pytest.mark.parametrize(("name", "value"), WRONG_FIELDS.items())
def test_no_message_is_built_from_a_field_of_another_shape(modules: Page, name: str, value: str) -> None:
    assert modules.evaluate(MESSAGE, FIELDS | {name: value}) == "challenge_invalid"


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


MARKS = [
    b"Portal: portail",
    b"Login: t",
    b"Created: 2026",
    b"9e77266f",
    b"Integrity",
    b"MIIFNjBg",
    b"17E20V",
    b"-----BEGIN",
]


@pytest.mark.parametrize("mark", MARKS)
def test_one_flipped_bit_is_refused(modules: Page, mark: bytes) -> None:
    at = VECTOR.index(mark) + len(mark) - 1
    assert opened(modules, flip(VECTOR, at)).get("code") in {
        "wrong_code_or_damaged",
        "file_unsupported",
        "file_not_key",
    }


def test_no_single_flipped_bit_anywhere_opens_a_file(modules: Page) -> None:
    survivors = modules.evaluate(
        """async (step) => {
        const file = await import("/static/js/keys/file.js");
        const algorithm = { ...file.PSS, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
        const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
        const text = await file.writeKeyFile({ privateKey: pair.privateKey, passphrase: "x",
          portal: "p.example", fingerprint: "ab".repeat(32),
          login: "noël", created: new Date(), rounds: 1000 });
        const bytes = new TextEncoder().encode(text);
        const open = async (data) => file.openKeyFile(file.readKeyFile(data), "x").then(() => true);
        await open(bytes);
        const survivors = [];
        for (let bit = 0; bit < bytes.length * 8; bit += step) {
          const copy = bytes.slice();
          copy[bit >> 3] ^= 1 << (bit & 7);
          try { await open(copy); survivors.push([bit, text.slice((bit >> 3) - 5, (bit >> 3) + 5)]); }
          catch (error) { if (!error.code) survivors.push(String(error)); }
        }
        return survivors; }""",
        11,
    )
    assert survivors == []


def test_a_key_sealed_by_openssl_opens_where_foreign_files_are_allowed(modules: Page) -> None:
    data = openssl_file("aes-256-cbc", "hmacWithSHA256")
    found = opened(modules, data, "secret", expected="", integrity="optional")
    assert bytes(found["spki"]) == SPKI  # type: ignore[arg-type]
    assert opened(modules, data, "secret", integrity="optional")["code"] == "key_mismatch"
    assert (
        opened(modules, data, "Secret", expected="", integrity="optional")["code"] == "wrong_code_or_damaged"
    )


def test_codes_are_corrected_checked_and_never_the_same(modules: Page) -> None:
    result = modules.evaluate(
        """async (typed) => {
        const { makeCode, normaliseCode, isCode } = await import("/static/js/keys/code.js");
        const made = await Promise.all(Array.from({ length: 50 }, makeCode));
        return [await normaliseCode(typed), await isCode(made[0]), await isCode(typed.replace("7", "8")),
                await isCode(typed + "A"), new Set(made).size, made[0]]; }""",
        " k7q2m 9zxcv-abcde-I2345 fghjp ",
    )
    assert result[:5] == [CODE, True, False, False, 50]
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{5}", result[5])


def test_vector_one_is_what_the_format_says() -> None:
    der = base64.b64decode(b"".join(VECTOR.split(b"-----\n")[1].split(b"\n")[:-1]))
    aes = bytes.fromhex("41ec67843fdca5e53262ef6a386cb33cb1a57e6d6347ac4c6460da3ed5bf3370")
    iv = bytes.fromhex("d3a1d093c268102d8c07db2ef5879b4b")
    cipher = Cipher(algorithms.AES(aes), modes.CBC(iv)).decryptor()
    clear = cipher.update(der[-1232:]) + cipher.finalize()
    key = serialization.load_der_private_key(clear[: -clear[-1]], None)
    assert (
        hashlib.sha256(
            key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()
        == VECTOR_PRINT
    )
    assert_mac(VECTOR, CODE)


COLLECT = """
import sys, django
from django.conf import settings
storage = {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
settings.configure(STATIC_URL="/static/", STATIC_ROOT=sys.argv[1], STORAGES={"staticfiles": storage})
django.setup()
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage as Storage
Storage.support_js_module_import_aggregation = True
store, names = Storage(), sys.argv[2:]
for name, hashed, done in store.post_process({name: (store, name) for name in names}):
    assert not isinstance(done, Exception), (name, done)
"""


def test_every_module_is_found_under_its_hashed_name(tmp_path: Path) -> None:
    shutil.copytree(harness.STATIC / "js" / "keys", tmp_path / "js" / "keys")
    shutil.copy(harness.STATIC / "js" / "keys.js", tmp_path / "js" / "keys.js")
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.js")]
    subprocess.run([sys.executable, "-c", COLLECT, tmp_path, *names], check=True)
    hashed = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    assert sorted(hashed) == sorted(names)
    for name in names:
        original, collected = (tmp_path / name).read_text(), (tmp_path / hashed[name]).read_text()
        wanted = [Path(name).parent / one for one in re.findall(r'^import .* from "(.*)";?$', original, re.M)]
        found = [Path(name).parent / one for one in re.findall(r'^import .* from "(.*)";?$', collected, re.M)]
        assert [path.as_posix() for path in found] == [hashed[path.as_posix()] for path in wanted]
