"""Keystores of every kind, opened by three programs that did not write them."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asn1crypto.pkcs12
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from ehealth.simulator import pki

NOW = datetime.now(UTC)
PASSWORD = "Mot de passé €"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    return pki.load_or_create(tmp_path_factory.mktemp("pki"))


def make(authority: pki.Pki, kind: str) -> bytes:
    number = "71000012" if kind == "organisation" else "84011012387"
    return pki.make_keystore(
        authority, ssin=number, first_name="Élise", last_name="Dupré", password=PASSWORD, kind=kind
    )


def entries(data: bytes) -> list[tuple[str, object]]:
    """Alias and private key of each entry, in the order of the file."""
    found = []
    for content in asn1crypto.pkcs12.Pfx.load(data).authenticated_safe:
        if content["content_type"].native != "data":
            continue
        for bag in asn1crypto.pkcs12.SafeContents.load(content["content"].native):
            names = {
                attribute["type"].native: attribute["values"].native for attribute in bag["bag_attributes"]
            }
            key = load_der_private_key(bag["bag_value"].untag().dump(), PASSWORD.encode())
            found.append((names["friendly_name"][0], key))
    return found


@pytest.mark.parametrize("kind", pki.KINDS)
def test_each_kind_opens_with_its_aliases_in_order(authority: pki.Pki, kind: str, tmp_path: Path) -> None:
    data = make(authority, kind)
    opened = pkcs12.load_pkcs12(data, PASSWORD.encode())
    found = entries(data)
    aliases = [alias for alias, _ in found]
    serials = [str(each.certificate.serial_number) for each in (opened.cert, *opened.additional_certs)]
    if kind == "no-encryption":
        assert aliases == ["authentication"]
    else:
        first, second = reversed(aliases) if kind == "two-keys-enc-first" else aliases
        assert first == "authentication"
        assert second in serials
    assert opened.cert.friendly_name.decode() == aliases[0]
    certificates = {
        each.friendly_name.decode(): each.certificate for each in (opened.cert, *opened.additional_certs)
    }
    for alias, key in found:
        assert key.public_key() == certificates[alias].public_key()


@pytest.mark.parametrize("kind", pki.KINDS)
def test_each_kind_opens_with_openssl(authority: pki.Pki, kind: str, tmp_path: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "store.p12"
    path.write_bytes(make(authority, kind))
    command = [program, "pkcs12", "-in", str(path), "-nodes", "-passin", f"pass:{PASSWORD}"]
    result = subprocess.run(command, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(b"PRIVATE KEY-----\n") == (2 if kind == "no-encryption" else 4)


def test_a_wrong_password_opens_nothing(authority: pki.Pki) -> None:
    for kind in ("rsa", "legacy"):
        with pytest.raises(ValueError, match="password"):
            pkcs12.load_pkcs12(make(authority, kind), b"wrong")


def certificate(authority: pki.Pki, kind: str) -> x509.Certificate:
    return pkcs12.load_pkcs12(make(authority, kind), PASSWORD.encode()).cert.certificate


def test_the_certificate_is_that_of_a_person(authority: pki.Pki) -> None:
    found = certificate(authority, "rsa")
    assert [attribute.value for attribute in found.subject] == [
        "BE",
        "Federal Government",
        "SSIN=84011012387",
        "ELISE DUPRE",
        "eHealth-platform Belgium",
        "SSIN=84011012387",
    ]
    usage = found.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature and usage.value.content_commitment and usage.value.key_encipherment
    extended = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert found.not_valid_after_utc - found.not_valid_before_utc == timedelta(days=3 * 365)
    found.verify_directly_issued_by(authority.ca.certificate)


def test_kinds_differ_where_they_say(authority: pki.Pki) -> None:
    assert isinstance(certificate(authority, "p384").public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(certificate(authority, "rsa").public_key(), rsa.RSAPublicKey)
    assert certificate(authority, "expired").not_valid_after_utc < NOW
    assert certificate(authority, "not-yet-valid").not_valid_before_utc > NOW
    assert NOW < certificate(authority, "near-expiry").not_valid_after_utc < NOW + timedelta(days=90)
    assert pki.owner_of(certificate(authority, "organisation")) == ("NIHII-MEDICAL_HOUSE", "71000012")
    assert "ZetesConfidens" in certificate(authority, "production-issuer").issuer.rfc4514_string()
    issuer = certificate(authority, "acceptance-issuer").issuer.rfc4514_string()
    assert "TEST-ZetesConfidens-eHealth acceptance" in issuer
    assert pki.owner_of(certificate(authority, "other-person")) == ("SSIN", pki.OTHER_PERSON[0])
    for kind in ("foreign-ca", "acceptance-issuer", "production-issuer"):
        with pytest.raises(ValueError):
            certificate(authority, kind).verify_directly_issued_by(authority.ca.certificate)
    with pytest.raises(ValueError, match="unknown kind"):
        make(authority, "golden")


def test_the_infrastructure_is_made_once(tmp_path: Path) -> None:
    first, second = pki.load_or_create(tmp_path), pki.load_or_create(tmp_path)
    assert first.ca.certificate == second.ca.certificate
    assert (tmp_path / "issuing-ca.pem").exists() and (tmp_path / "sts.pem").exists()
    assert (tmp_path / "pki" / "ca.key").stat().st_mode & 0o077 == 0
