"""What we send is judged by two verifiers that are not ours, and by the schemas."""

import base64
from dataclasses import replace
from datetime import date, datetime

import pytest
import xmlsec
from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from ehealth import wsdl
from ehealth.client import mailbox, names, registration, sts
from ehealth.client.contracts import check_envelope, message
from ehealth.client.platform import Assertion, Identity
from ehealth.client.wsse import with_assertion, with_certificate
from ehealth.client.xades import sign_detail
from tests.ehealth.client import parties

SECURITY = f"{{{names.SOAP}}}Header/{{{names.WSSE}}}Security"
KINDS = ["rsa", "p384"]
pytestmark = pytest.mark.parametrize("kind", KINDS)


def token_request(one: Identity) -> bytes:
    return with_certificate(sts._request(one, "urn:uuid:1", parties.NOW), one, parties.NOW)


def box_request(one: Identity, kind: str) -> bytes:
    envelope = message("mailbox.wsdl", "getBoxInfo")
    return with_assertion(envelope, one, parties.assertion(kind, one), parties.NOW)


def declared(reference: str = "5f0c7e9a-2d4b-4a56-9a0e-2f6c2b6f9a10") -> registration.Registration:
    return registration.Registration(
        nihii=parties.NIHII, ssin=parties.SSIN, first_name="Zoé", last_name="D'Hondt & Fils", mutuality="100",
        iban="BE80001000000177", bic="GEBABEBB", reference=reference, start_date=date(2026, 1, 15),
    )  # fmt: skip


def registration_request(one: Identity, kind: str) -> bytes:
    envelope = registration._envelope(parties.platform(), one, declared(), parties.NOW)
    return with_assertion(envelope, one, parties.assertion(kind, one), parties.NOW)


def judge_by_xmlsec(signed: bytes, one: Identity) -> None:
    root = etree.fromstring(signed)
    xmlsec.tree.add_ids(root, ["Id", "AssertionID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(parties.pem(one.certificate), xmlsec.KeyFormat.CERT_PEM)
    context.verify(root.find(f"{SECURITY}/{{{names.DS}}}Signature"))


def judge_by_signxml(signed: bytes, one: Identity, references: int) -> list[str]:
    config = SignatureConfiguration(location=f"./{SECURITY}/", expect_references=references)
    results = XMLVerifier().verify(
        signed, x509_cert=one.certificate, expect_config=config, id_attribute="Id", validate_schema=False
    )
    return [etree.QName(found.signed_xml).localname for found in results]


def test_two_other_verifiers_accept_the_x509_profile_over_timestamp_body_and_token(kind: str) -> None:
    one = parties.identity(kind)
    signed = token_request(one)
    judge_by_xmlsec(signed, one)
    assert judge_by_signxml(signed, one, 3) == ["Timestamp", "Body", "BinarySecurityToken"]


def test_two_other_verifiers_accept_the_holder_of_key_profile_over_timestamp_and_body(kind: str) -> None:
    one = parties.identity(kind)
    for signed in (box_request(one, kind), registration_request(one, kind)):
        judge_by_xmlsec(signed, one)
        assert judge_by_signxml(signed, one, 2) == ["Timestamp", "Body"]


def renewal(one: Identity, held: Assertion) -> bytes:
    request = sts._request(one, "urn:uuid:1", parties.NOW, held)
    return with_certificate(request, one, parties.NOW, enclosed=held.xml)


@pytest.mark.parametrize("prefix", ["ds", "dsig", ""])
def test_two_other_verifiers_accept_a_renewal_however_the_token_names_its_signature(
    kind: str, prefix: str
) -> None:
    """A tree that takes the token in would give its signature the prefix that stands around it."""
    one, held = parties.identity(kind), parties.assertion(kind)
    start, end = held.xml.index(b"<ds:Signature "), held.xml.index(b"</saml:Assertion>")
    name = prefix.encode()
    signature = held.xml[start:end].replace(b"ds:", name + b":" if name else b"")
    signature = signature.replace(b"xmlns:ds=", b"xmlns:" + name + b"=" if name else b"xmlns=")
    held = replace(held, xml=held.xml[:start] + signature + held.xml[end:])
    signed = renewal(one, held)
    assert signed.count(held.xml) == 1
    judge_by_xmlsec(signed, one)
    assert judge_by_signxml(signed, one, 3) == ["Timestamp", "Body", "BinarySecurityToken"]
    check_envelope(etree.fromstring(signed))
    with pytest.raises(xmlsec.Error):
        judge_by_xmlsec(signed.replace(b"am:X509-PKI", b"am:X509-PKJ"), one)


def test_another_verifier_refuses_a_message_whose_body_was_changed_afterwards(kind: str) -> None:
    one = parties.identity(kind)
    with pytest.raises(xmlsec.Error):
        judge_by_xmlsec(token_request(one).replace(b"84011012387<", b"84011012388<"), one)


def test_the_assertion_travels_byte_for_byte_and_keeps_its_own_signature(kind: str) -> None:
    one, token = parties.identity(kind), parties.assertion(kind)
    signed = with_assertion(message("mailbox.wsdl", "getBoxInfo"), one, token, parties.NOW)
    assert signed.count(token.xml) == 1
    root = etree.fromstring(signed)
    carried = root.find(f"{SECURITY}/{{{names.SAML}}}Assertion")
    xmlsec.tree.add_ids(root, ["AssertionID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(parties.pem(parties.sts()[1]), xmlsec.KeyFormat.CERT_PEM)
    context.verify(carried[-1])


def test_the_signature_value_of_an_elliptic_key_is_r_and_s_side_by_side(kind: str) -> None:
    root = etree.fromstring(token_request(parties.identity(kind)))
    value = base64.b64decode(
        root.findtext(f"{SECURITY}/{{{names.DS}}}Signature/{{{names.DS}}}SignatureValue")
    )
    assert len(value) == {"rsa": 256, "p384": 96}[kind]


def test_the_message_lives_for_sixty_seconds_and_names_its_token(kind: str) -> None:
    root = etree.fromstring(box_request(parties.identity(kind), kind))
    created, expires = (
        sts_time(root.findtext(f"{SECURITY}/{{{names.WSU}}}Timestamp/{{{names.WSU}}}{name}"))
        for name in ("Created", "Expires")
    )
    assert (expires - created).total_seconds() == 60
    identifier = root.find(f"{SECURITY}/{{{names.SAML}}}Assertion").get("AssertionID")
    assert [found.text for found in root.iter(f"{{{names.WSSE}}}KeyIdentifier")] == [identifier]


def test_every_request_keeps_to_the_schemas(kind: str) -> None:
    one = parties.identity(kind)
    listing = message("mailbox.wsdl", "getMessagesList", Source="INBOX", StartIndex=1, EndIndex=mailbox.PAGE)
    listed = with_assertion(listing, one, parties.assertion(kind), parties.NOW)
    for signed in (token_request(one), box_request(one, kind), registration_request(one, kind), listed):
        check_envelope(etree.fromstring(signed))


def test_the_content_of_a_registration_keeps_to_its_schema_and_names_no_more_than_it_must(kind: str) -> None:
    root = etree.fromstring(registration_request(parties.identity(kind), kind))
    content = base64.b64decode(root.findtext(f".//{{{names.PROTOCOL}}}Detail"))
    schema = etree.XMLSchema(etree.parse(str(wsdl.path("registration-business.xsd"))))
    schema.assertValid(etree.fromstring(content))
    assert b"84011012387" not in content


def test_another_verifier_accepts_the_doctors_signature_under_the_content(kind: str) -> None:
    """Reference 1 goes through base64 to the business document: put side by side, xmlsec walks that way
    itself.
    """
    one = parties.identity(kind)
    content = registration._content(declared())
    xades = sign_detail(content, one, parties.NOW)
    etree.XMLSchema(etree.parse(str(wsdl.path("envelope.xsd")))).assertValid(in_body(xades))
    document = etree.fromstring(
        b'<all><Detail Id="blob">' + base64.b64encode(content) + b"</Detail>" + xades + b"</all>"
    )
    xmlsec.tree.add_ids(document, ["Id"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(parties.pem(one.certificate), xmlsec.KeyFormat.CERT_PEM)
    context.verify(document[1])


def in_body(content: bytes) -> etree._Element:
    opening = f'<s:Envelope xmlns:s="{names.SOAP}"><s:Body>'.encode()
    return etree.fromstring(opening + content + b"</s:Body></s:Envelope>")


def sts_time(text: str) -> datetime:
    return datetime.fromisoformat(text)
