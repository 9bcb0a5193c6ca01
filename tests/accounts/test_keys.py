"""Public keys and proofs: the vectors, weak keys, changed signatures."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from accounts import keys
from accounts.keys import KeyRefused, parse_public_key, proof_message, verify_proof

DATA = Path(__file__).parents[1] / "data"
FINGERPRINT = "362eaf79f1791b141e54376eebd5f61364636e61f4a31773d9d47433fd9eae27"
PROOF = {
    "purpose": "register",
    "origin": "https://portail.example",
    "user": "0b0e7a52-6f5e-4c39-9d0b-6a1f5f0c2d11",
    "challenge": "Y2hhbGxlbmdlLTAwMDE",
    "nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "fingerprint": FINGERPRINT,
}


def vectors():
    lines = (DATA / "key_vectors.txt").read_text("ascii").splitlines()
    return dict(line.split() for line in lines if line and not line.startswith("#"))


VECTORS = vectors()
SPKI = base64.b64decode(VECTORS["spki"])


@cache
def made(bits=3072, exponent=65537):
    return rsa.generate_private_key(exponent, bits)


def encode(key):
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def spki_of(modulus, exponent=65537):
    return encode(rsa.RSAPublicNumbers(exponent, modulus).public_key())


def refused(text, **options):
    with pytest.raises(KeyRefused) as caught:
        parse_public_key(text, **options)
    return caught.value.code, caught.value.reason


# Vector 1.


def test_the_key_of_the_vector_is_imported():
    key = parse_public_key(VECTORS["spki"], minimum=2048)
    assert (key.fingerprint, key.bits, key.spki) == (FINGERPRINT, 2048, SPKI)


def test_the_key_of_the_vector_is_too_small_for_a_new_pair():
    assert refused(VECTORS["spki"]) == ("key_weak", "size")


def test_the_message_of_the_vector_is_built():
    message = proof_message(**PROOF)
    assert len(message) == 223
    assert (
        hashlib.sha256(message).hexdigest()
        == "2beddc43e99a6a5b5715a9c1ef760ef220f3d1aad1dd735e4b215865d669681a"
    )


def test_the_signature_of_the_vector_verifies():
    verify_proof(SPKI, VECTORS["signature"], proof_message(**PROOF))


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "backup"}, {"origin": "https://portail.example:8443"}, {"binding": FINGERPRINT},
        {"user": "1b0e7a52-6f5e-4c39-9d0b-6a1f5f0c2d11"}, {"challenge": "Y2hhbGxlbmdlLTAwMDI"},
        {"nonce": "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}, {"fingerprint": "4" + FINGERPRINT[1:]},
    ],
)  # fmt: skip
def test_any_changed_line_fails(change):
    with pytest.raises(KeyRefused) as caught:
        verify_proof(SPKI, VECTORS["signature"], proof_message(**PROOF | change))
    assert caught.value.code == "bad_proof"


def _sign(scheme, key=None):
    return base64.b64encode((key or made()).sign(proof_message(**PROOF), scheme, hashes.SHA256())).decode()


def test_only_salt_length_32_and_the_probabilistic_scheme_count():
    spki = base64.b64decode(encode(made().public_key()))
    message, mask = proof_message(**PROOF), padding.MGF1(hashes.SHA256())
    verify_proof(spki, _sign(padding.PSS(mask, 32)), message)
    for scheme in (padding.PKCS1v15(), padding.PSS(mask, 0), padding.PSS(mask, 20), padding.PSS(mask, 64)):
        with pytest.raises(KeyRefused):
            verify_proof(spki, _sign(scheme), message)


@pytest.mark.parametrize(
    "signature", ["", "not base64!", "AAAA", "A" * 10_000, "é", VECTORS["signature"][:-8]]
)
def test_what_is_no_signature_fails_with_the_same_code(signature):
    with pytest.raises(KeyRefused) as caught:
        verify_proof(SPKI, signature, proof_message(**PROOF))
    assert caught.value.code == "bad_proof"


@pytest.mark.parametrize(
    "change",
    [{"purpose": "login"}, {"origin": "https://a\nbackup"}, {"nonce": ""}, {"user": "é"}, {"binding": ""}],
)
def test_a_message_with_broken_lines_is_not_built(change):
    with pytest.raises(ValueError):
        proof_message(**PROOF | change)


# Vector 2 and other weak keys.


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("roca2048", "roca"),
        ("close2048", "close_primes"),
        ("small2048", "small_factor"),
        ("e3_2048", "exponent"),
    ],
)
def test_the_bad_keys_of_the_vector_are_named(name, reason):
    assert refused(VECTORS[name], minimum=2048) == ("key_weak", reason)


@pytest.mark.parametrize("bits", [3072, 4096])
def test_new_pairs_are_taken(bits):
    key = parse_public_key(encode(made(bits).public_key()))
    assert key.bits == bits and key.fingerprint == hashlib.sha256(key.spki).hexdigest()


@pytest.mark.parametrize("bits", [1024, 2048, 2050, 3000])
def test_other_sizes_are_refused(bits):
    assert refused(encode(made(bits).public_key())) == ("key_weak", "size")


def test_odd_sizes_are_refused_for_imports_too():
    assert refused(encode(made(2050).public_key()), minimum=2048) == ("key_weak", "size")


def test_a_square_is_refused():
    square = made(3072).private_numbers().p ** 2
    assert refused(spki_of(square)) == ("key_weak", "close_primes")


def test_an_even_modulus_is_refused():
    modulus = made(3072).public_key().public_numbers().n
    assert _verdict_on_numbers(modulus - 1) == ("key_weak", "small_factor")


def _verdict_on_numbers(modulus):
    """The library writes no even modulus, so the DER is changed by hand."""
    der = bytearray(base64.b64decode(encode(made(3072).public_key())))
    at = bytes(der).index((modulus + 1).to_bytes(384, "big"))
    der[at + 383] -= 1
    return refused(base64.b64encode(bytes(der)).decode())


def test_a_prime_modulus_is_refused():
    # 2^3072 - 2^3008 - 1 + 2^64 * (floor(2^2942 pi) + 1690314) is prime (RFC 3526, group 15).
    assert refused(spki_of(int(VECTORS["prime3072"], 16))) == ("key_weak", "prime")


@pytest.mark.parametrize(
    "key",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()).public_key(),
        lambda: ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
)
def test_other_kinds_of_key_are_refused(key):
    assert refused(encode(key()))[0] in {"not_rsa", "too_large"}


@pytest.mark.parametrize(
    "text",
    [
        "", "hello", "####", base64.b64encode(b"hello").decode(), "A" * 400, VECTORS["spki"][:-8], "é",
        base64.b64encode(SPKI + b"\0").decode(), base64.b64encode(b"\x30\x83\x00" + SPKI[2:]).decode(),
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(text):
    assert refused(text, minimum=2048)[0] == "not_a_key"


def test_too_much_is_refused_before_it_is_read():
    assert refused("A" * 8193)[0] == "too_large"
    assert refused(base64.b64encode(b"\x30" * 601).decode())[0] == "too_large"


@pytest.mark.parametrize(
    "format_", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
def test_a_private_key_is_told_as_such(format_, encoding):
    raw = made(2048).private_bytes(encoding, format_, serialization.NoEncryption())
    text = raw.decode() if encoding is serialization.Encoding.PEM else base64.b64encode(raw).decode()
    assert refused(text)[0] == "private_key_sent"


def test_an_encrypted_private_key_is_one_too():
    scheme = serialization.BestAvailableEncryption(b"secret")
    raw = made(2048).private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, scheme)
    assert refused(base64.b64encode(raw).decode())[0] == "private_key_sent"


def test_a_private_key_as_json_is_one_too():
    assert refused('{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}')[0] == "private_key_sent"


def test_fingerprints_are_shown_in_groups():
    assert keys.display_fingerprint(FINGERPRINT) == "362E AF79 F179 1B14 1E54 376E EBD5 F613"
    assert keys.short_fingerprint(FINGERPRINT) == "362eaf79"
