"""One whole journey through the portal, kept message by message, and judged by others.

Nothing of the client judges here: the schemas of the contract are read by lxml, the signatures by xmlsec and
signxml, the keys taken from the keystore by OpenSSL's own reader.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from django.utils import timezone
from lxml import etree
from pytest_django.fixtures import Settings
from signxml.verifier import SignatureConfiguration, XMLVerifier

from accounts.actions.sections import section_version
from billing.bank import BankAccount
from ehealth import wsdl
from ehealth.actions import connection, edmg, mailbox, round_trip, sessions
from ehealth.actions.exchanges import exchanges
from ehealth.configuration import platform
from ehealth.models import EdmgRegistration, Mailbox, Mutuality
from tests.ehealth.conftest import Doctor
from tests.platform import PASSWORD

OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
NS = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "wsse": f"{OASIS}-wssecurity-secext-1.0.xsd",
    "wsu": f"{OASIS}-wssecurity-utility-1.0.xsd",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "saml": "urn:oasis:names:tc:SAML:1.0:assertion",
    "wst": "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
    "p": "urn:be:fgov:ehealth:mycarenet:commons:protocol:v2",
}
ENVELOPE = etree.XMLSchema(etree.parse(str(wsdl.path("envelope.xsd"))))
BUSINESS = etree.XMLSchema(etree.parse(str(wsdl.path("registration-business.xsd"))))
ASSERTION = re.compile(rb"<(?:\w+:)?Assertion[\s>].*?</(?:\w+:)?Assertion>", re.DOTALL)
OPERATIONS = {
    "sts-RequestSecurityToken",
    "sts-RequestSecurityToken-Renew",
    "etk-GetEtk",
    "mailbox-getBoxInfo",
    "mailbox-getMessagesList",
    "mailbox-getFullMessage",
    "mailbox-getMessageAcknowledgmentsStatus",
    "mailbox-moveMessage",
    "mailbox-deleteMessage",
    "publication-sendMessage",
    "registration-registerToMycarenetService",
}
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Exchanged:
    """One call as it was kept: operation, request, envelope of the answer."""

    operation: str
    request: bytes
    answer: bytes


@pytest.fixture
def captured(doctor: Doctor, settings: Settings, tmp_path: Path) -> Iterator[Path]:
    settings.EHEALTH_CAPTURE_DIR = str(tmp_path / "captured")
    platform.cache_clear()
    yield tmp_path / "captured"
    platform.cache_clear()


def journey(doctor: Doctor, kind: str) -> bytes:
    """Connect, renew, register, poll, send to oneself; the keystore that was used."""
    data = doctor.simulator.keystore(doctor.ssin, kind)
    stored = doctor.upload(data, auto=True)
    now = timezone.now()
    connection.test(keystore_pk=stored.pk, now=now)
    live = sessions.ensure_session(user=doctor.user, now=now + timedelta(hours=13))
    assert live
    accounts = dict.fromkeys(Mutuality.values, BankAccount("BE67001000001187", "GEBABEBB", "typed"))
    for row in edmg.request(
        user=doctor.user, by=doctor.user, accounts=accounts, same_account=True, conditions_version="1",
        language="fr", version=section_version(doctor.user, edmg.SECTION), now=now,
    ):  # fmt: skip
        edmg.send(pk=row.pk, now=now)
    doctor.simulator.add_messages(doctor.ssin, 3)
    Mailbox.objects.update(next_poll_at=now - timedelta(seconds=1))
    mailbox.poll_due(now=now)
    with exchanges(doctor.user) as trace:
        round_trip.run(known=platform(), live=live, trace=trace)
    return data


def kept(folder: Path) -> list[Exchanged]:
    found = []
    for request in sorted(folder.glob("*-request.xml")):
        stem = request.name.removesuffix("-request.xml")
        plain, packed = folder / f"{stem}-response.xml", folder / f"{stem}-response.mime"
        answer = plain.read_bytes() if plain.exists() else root_of(packed.read_bytes())
        operation = stem.split("-", 2)[2]
        found.append(Exchanged(operation, request.read_bytes(), answer))
    return found


def root_of(packed: bytes) -> bytes:
    """The envelope of an answer with attachments, by the mail reader of the standard library."""
    first = message_from_bytes(packed).get_payload(0)
    octets = first.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


def verify(root: etree._Element, signature: etree._Element, certificate: bytes) -> None:
    xmlsec.tree.add_ids(root, ["Id", "AssertionID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate, xmlsec.KeyFormat.CERT_PEM)
    context.verify(signature)


def judge(exchanged: Exchanged, holder: bytes, sts: bytes) -> None:
    """The request and its answer keep to the contract; whatever is signed was signed by whom it must."""
    for message in (exchanged.request, exchanged.answer):
        ENVELOPE.assertValid(etree.fromstring(message))
    root = etree.fromstring(exchanged.request)
    security = root.find("soap:Header/wsse:Security", NS)
    if exchanged.operation == "etk-GetEtk":
        assert security is None
        return
    verify(root, security.find("ds:Signature", NS), holder)
    is_token = exchanged.operation.startswith("sts-")
    config = SignatureConfiguration(
        location=f"./{{{NS['soap']}}}Header/{{{NS['wsse']}}}Security/", expect_references=3 if is_token else 2
    )
    signed = XMLVerifier().verify(
        exchanged.request, x509_cert=holder.decode(), expect_config=config, id_attribute="Id",
        validate_schema=False,
    )  # fmt: skip
    covered = [etree.QName(found.signed_xml).localname for found in signed]
    assert covered == ["Timestamp", "Body", "BinarySecurityToken"][: len(covered)]
    for message in (exchanged.request, exchanged.answer):
        for octets in ASSERTION.findall(message):
            token = etree.fromstring(octets)
            verify(token, token.find("ds:Signature", NS), sts)
    if exchanged.operation.startswith("registration-"):
        judge_detail(root, holder)


def judge_detail(root: etree._Element, holder: bytes) -> None:
    """The business content keeps to its schema, and the doctor's XAdES covers it through the base64."""
    detail, xades = root.find(".//p:Detail", NS), root.find(".//p:Xades", NS)
    BUSINESS.assertValid(etree.fromstring(base64.b64decode(detail.text)))
    signature = base64.b64decode(xades.text)
    opening = f'<all><Detail Id="{detail.get("Id")}">{detail.text}</Detail>'.encode()
    together = etree.fromstring(opening + signature + b"</all>")
    verify(together, together[1], holder)


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_every_message_of_a_journey_is_accepted_by_other_judges(
    doctor: Doctor, captured: Path, kind: str
) -> None:
    opened = pkcs12.load_key_and_certificates(journey(doctor, kind), PASSWORD.encode())
    assert opened[1] is not None
    holder, sts = opened[1].public_bytes(Encoding.PEM), doctor.simulator.sts_certificate
    exchanged = kept(captured)
    assert {each.operation for each in exchanged} == OPERATIONS
    for each in exchanged:
        judge(each, holder, sts)
    done = EdmgRegistration.objects.filter(user=doctor.user).values_list("state", flat=True)
    assert set(done) == {"registered"} and len(done) == 7
    given = {
        octets for each in exchanged if "sts-" in each.operation for octets in ASSERTION.findall(each.answer)
    }
    carried = {octets for each in exchanged for octets in ASSERTION.findall(each.request)}
    assert carried <= given and len(given) == 2


def test_the_judges_see_a_changed_byte(doctor: Doctor, captured: Path) -> None:
    opened = pkcs12.load_key_and_certificates(journey(doctor, "rsa"), PASSWORD.encode())
    assert opened[1] is not None
    holder, sts = opened[1].public_bytes(Encoding.PEM), doctor.simulator.sts_certificate
    changes: dict[str, Callable[[bytes], bytes]] = {
        "mailbox-getMessagesList": lambda data: data.replace(b"<EndIndex>100<", b"<EndIndex>99<"),
        "publication-sendMessage": lambda data: data.replace(b">INSS<", b">NIHII<"),
        "sts-RequestSecurityToken-Renew": lambda data: data.replace(b"surname", b"surnane"),
        "registration-registerToMycarenetService": lambda data: data.replace(b">100</", b">300</"),
    }
    by_name = {each.operation: each for each in kept(captured)}
    for operation, change in changes.items():
        good = by_name[operation]
        changed = Exchanged(operation, change(good.request), good.answer)
        if operation.startswith("registration"):
            changed = next(
                Exchanged(operation, change(each.request), each.answer)
                for each in kept(captured)
                if each.operation == operation and change(each.request) != each.request
            )
        assert changed.request != good.request
        with pytest.raises((xmlsec.Error, etree.DocumentInvalid)):
            judge(changed, holder, sts)


def test_nothing_is_kept_outside_a_simulation(settings: Settings) -> None:
    from django.core.checks import run_checks

    settings.EHEALTH_CAPTURE_DIR, settings.EHEALTH_ENVIRONMENT = "captured", "acceptance"
    settings.EHEALTH_BASE_URLS = ["https://services-acpt.ehealth.fgov.be"]
    assert any("EHEALTH_CAPTURE_DIR" in error.msg for error in run_checks())
