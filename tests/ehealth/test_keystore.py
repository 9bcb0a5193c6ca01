"""How keystores are opened: which key is taken, what is told of it, how much it may cost.

The verdicts on files of every kind are in test_keystore_verdicts.
"""

import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, pkcs12
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ehealth import keystore
from ehealth import pkcs12 as reader
from ehealth.keystore import KeystoreRefused, open_keystore
from tests.ehealth.keystores import (
    END,
    LEGACY,
    MODERN,
    NOW,
    PASSWORD,
    SSIN,
    START,
    Authority,
    Entry,
    Style,
    authentication,
    curve_key,
    encryption,
    hidden_rounds,
    indefinite,
    indefinite_inside,
    rsa_key,
    subject,
)
from tests.ehealth.keystores import keystore as make

JAVA = Path(__file__).parents[1] / "data" / "keystores"
CA = Authority()
TRUSTED = [CA.certificate]
OWN = authentication(CA)


def opened(data, password=PASSWORD, *, ssin=SSIN, now=NOW, issuers=TRUSTED, environment="simulation"):
    return open_keystore(data, password, ssin=ssin, now=now, issuers=issuers, environment=environment)


def refusal(data, password=PASSWORD, **facts):
    with pytest.raises(KeystoreRefused) as caught:
        opened(data, password, **facts)
    return caught.value


def is_key_of(found, entry):
    return load_der_private_key(found.key_der, None).public_key() == entry.key.public_key()


# Accepted.


@pytest.mark.parametrize("style", [MODERN, LEGACY, Style(mac_hash="sha512"), Style(mac_hash="sha1")])
@pytest.mark.parametrize("encryption_first", [False, True])
def test_the_authentication_key_is_found_in_either_order(style, encryption_first):
    other = encryption(OWN)
    order = [other, OWN] if encryption_first else [OWN, other]
    found = opened(make(*order, style=style))
    assert is_key_of(found, OWN)
    assert found.ssin == SSIN and found.holder_name == "ANNE TESTEUR"
    assert found.serial == str(OWN.certificate.serial_number)
    assert found.encryption_serials == (str(other.certificate.serial_number),)
    assert found.chain_der[0] == OWN.certificate.public_bytes(Encoding.DER)
    assert (found.not_before, found.not_after, found.renewal_due) == (START, END, False)


@pytest.mark.parametrize("file", ["java-modern", "java-encryption-first", "java-legacy", "java-curve"])
def test_keystores_written_by_java_open(file):
    issuer = x509.load_der_x509_certificate((JAVA / "java-authority.der").read_bytes())
    found = opened((JAVA / f"{file}.p12").read_bytes(), b"Geheim#2026x", issuers=[issuer])
    assert found.holder_name == "ANNE TESTEUR"
    assert len(found.encryption_serials) == 1 and len(found.chain_der) == 2
    leaf = x509.load_der_x509_certificate(found.chain_der[0])
    assert load_der_private_key(found.key_der, None).public_key() == leaf.public_key()


@pytest.mark.parametrize("style", [MODERN, LEGACY])
def test_indefinite_lengths_are_read(style):
    made = make(encryption(OWN), OWN, style=style)
    inside = indefinite_inside(made, style)
    for data in (indefinite(made), inside, indefinite(inside)):
        assert is_key_of(opened(data), OWN)


def test_a_file_written_by_openssl_opens(tmp_path):
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not on this machine")
    for name, part in (("key", OWN.key), ("leaf", OWN.certificate)):
        (tmp_path / name).write_bytes(_pem(part))
    # A password in the file's own words: the command reads it from its input.
    made = subprocess.run(
        [openssl, "pkcs12", "-export", "-inkey", tmp_path / "key", "-in", tmp_path / "leaf",
         "-name", "authentication", "-passout", "stdin"],
        input=b"plain#2026\n", capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert is_key_of(opened(made, b"plain#2026"), OWN)


def _pem(part):
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    if isinstance(part, x509.Certificate):
        return part.public_bytes(Encoding.PEM)
    return part.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_without_the_name_the_key_that_may_sign_is_taken():
    own = authentication(CA, alias="mykey")
    found = opened(make(encryption(own), own))
    assert is_key_of(found, own)
    assert len(found.encryption_serials) == 1


def test_the_name_is_compared_without_case():
    assert is_key_of(opened(make(authentication(CA, alias="Authentication"))), OWN)


@pytest.mark.parametrize("curve", [ec.SECP384R1, ec.SECP521R1])
def test_curve_keys_are_accepted(curve):
    own = authentication(CA, key=curve_key("authentication", curve))
    assert is_key_of(opened(make(own)), own)


def test_a_chain_through_the_file_reaches_the_trusted_root():
    root = Authority("TEST root")
    issuing = Authority("TEST issuing under root", root)
    found = opened(make(authentication(issuing)), issuers=[root.certificate])
    assert len(found.chain_der) == 3


def test_the_application_id_in_the_common_name_is_no_obstacle():
    own = authentication(CA, name=subject(common=f"SSIN={SSIN}, MYAPP"))
    assert opened(make(own)).ssin == SSIN


def test_no_encryption_entry_is_a_warning_not_an_error():
    assert opened(make(OWN)).encryption_serials == ()


@pytest.mark.parametrize(("days", "due"), [(91, False), (90, True), (1, True)])
def test_renewal_is_due_in_the_last_ninety_days(days, due):
    assert opened(make(OWN), now=END - timedelta(days=days)).renewal_due is due


def test_the_key_is_not_in_the_representation():
    found = opened(make(OWN))
    assert "key_der" not in repr(found) and repr(found.key_der) not in repr(found)


# Its cost.


def test_the_largest_allowed_counts_end_within_the_limits():
    data = make(OWN, style=Style(rounds=500_000, mac_rounds=1_000_000))
    try:
        assert is_key_of(opened(data), OWN)
    except KeystoreRefused as refused:
        assert refused.code == "too_slow"


def test_a_key_inside_an_encrypted_part_is_found():
    assert is_key_of(opened(hidden_rounds(OWN, 2000)), OWN)


def test_the_child_bounds_its_own_time_and_memory():
    probe = (
        "import resource; from ehealth.keystore_child import limit; limit(); "
        "print([resource.getrlimit(kind)[0] for kind in "
        "(resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_CORE)])\n"
        "while True: pass"
    )
    child = subprocess.run([sys.executable, "-c", probe], capture_output=True, timeout=60, check=False)
    assert child.returncode < 0, "the processor limit ends it"
    assert child.stdout in (b"", b"[2, 268435456, 0]\n")


def test_no_more_than_two_are_opened_at_once():
    taken = [keystore._slots.acquire(timeout=10) for _ in range(keystore.AT_ONCE)]
    try:
        assert refusal(make(OWN)).code == "busy"
    finally:
        for _ in taken:
            keystore._slots.release()
    assert opened(make(OWN)).ssin == SSIN


def test_waiting_threads_all_get_their_turn():
    data, found = make(OWN), []
    threads = [threading.Thread(target=lambda: found.append(opened(data).ssin)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [SSIN] * 5


# The password and the entries.


@pytest.mark.parametrize(
    "password", [b"", b"tr\xc3\xa9sor#2026", b"Tresor#2026", PASSWORD + b" ", b"\xff\xfe", b"x" * 2000]
)
@pytest.mark.parametrize("style", [MODERN, LEGACY])
def test_a_wrong_password_is_told_as_such(password, style):
    refused = refusal(make(OWN, style=style), password)
    assert refused.code == "wrong_password"
    assert not password or repr(password) not in repr(refused)


def test_a_changed_byte_is_told_by_the_mac():
    data = bytearray(make(OWN))
    data[len(data) // 2] ^= 1
    assert refusal(bytes(data)).code in {"wrong_password", "not_pkcs12", "unsupported"}


# The certificate.


def test_an_expired_certificate_tells_its_date():
    refused = refusal(make(OWN), now=END + timedelta(seconds=1))
    assert (refused.code, refused.facts) == ("expired", {"not_after": END})


def test_a_certificate_of_the_future_tells_its_date():
    refused = refusal(make(OWN), now=START - timedelta(seconds=1))
    assert (refused.code, refused.facts) == ("not_yet_valid", {"not_before": START})


def test_another_persons_keystore_is_refused_with_a_masked_number():
    refused = refusal(make(OWN), ssin="82110297684")
    assert (refused.code, refused.facts) == ("other_person", {"found": "••••••••594"})


def test_an_organisations_keystore_is_refused():
    own = authentication(CA, name=subject("0100000169", kind="CBE"))
    assert refusal(make(own)).code == "organisation"
    house = authentication(CA, name=subject("89990165", kind="NIHII-MEDICAL_HOUSE"))
    assert refusal(make(house)).facts["kind"] == "NIHII-MEDICAL_HOUSE"


def test_environments_are_not_mixed():
    assert refusal(make(OWN), environment="production").code == "wrong_environment"
    real = Authority("ZetesConfidens Private Trust PKI - eHealth issuing CA 001")
    data = make(authentication(real))
    assert refusal(data, environment="acceptance").code == "wrong_environment"
    assert opened(data, issuers=[real.certificate], environment="production").ssin == SSIN


def _untrusted():
    root, other = Authority("TEST root"), Authority("TEST somebody else")
    impostor = Authority(CA.common)
    plain = Authority("TEST no authority", root, {"ca": False})
    late = Authority("TEST expired authority", root, {"end": START + timedelta(days=1)})
    mute = Authority("TEST may not certify", root, {"allowed": {"digital_signature": True}})
    short = Authority("TEST short", None, {"path_length": 0})
    below = Authority("TEST below short", short)
    deep = root
    for level in range(5):
        deep = Authority(f"TEST level {level}", deep)
    levels, step = [], deep
    while step.parent:
        levels.append(step.certificate)
        step = step.parent
    assert impostor.name == CA.name
    return [
        (authentication(other), [CA]),
        (authentication(plain), [root]),
        (authentication(late), [root]),
        (authentication(mute), [root]),
        (authentication(below), [short]),
        (authentication(deep, chain=tuple(levels)), [root]),
        (authentication(other), []),
    ]


def test_only_a_path_to_a_trusted_authority_counts():
    for entry, anchors in _untrusted():
        issuers = [anchor.certificate for anchor in anchors]
        assert refusal(make(entry), issuers=issuers).code == "untrusted_issuer"


def test_an_authority_of_the_same_name_with_another_key_is_not_trusted():
    foreign = authentication(CA)
    from tests.ehealth.keystores import SIGNING, certificate

    forged = certificate(subject(), OWN.key, CA.name, rsa_key("forger"), allowed=SIGNING, client=True)
    assert refusal(make(Entry("authentication", OWN.key, forged))).code == "untrusted_issuer"
    assert opened(make(foreign)).ssin == SSIN


# Anything at all.


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_reader_answers_every_mutation_with_its_own_error(data):
    raw = bytearray(_SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        reader.read(bytes(raw[: data.draw(st.integers(1, len(raw)))]))
    except reader.NotReadable as refused:
        assert refused.code in {"not_pkcs12", "no_mac", "too_many_rounds", "too_many_bags", "unsupported"}


_SAMPLE = indefinite_inside(make(OWN, encryption(OWN)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_the_reader_never_fails_otherwise_on_random_bytes(raw):
    with pytest.raises(reader.NotReadable):
        reader.read(raw)


def test_nothing_is_left_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    opened(make(OWN))
    assert list(tmp_path.iterdir()) == []


def test_the_sample_parts_are_what_they_say():
    """The maker of the files is checked by the library that the portal does not rely on alone."""
    assert pkcs12.load_pkcs12(make(OWN), PASSWORD).cert.friendly_name == b"authentication"
