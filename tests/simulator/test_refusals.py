"""Everything the gateway must not let through, each with its code."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import xmlsec
from lxml import etree

from tests.platform import Simulator
from tests.simulator.messages import (
    BOX,
    BOX_INFO,
    BOX_LIST,
    BOX_PATH,
    DS,
    ETK_PATH,
    EXC_C14N,
    SAML,
    SOAP,
    STS_ACTION,
    STS_PATH,
    WSSE,
    WSU,
    Doctor,
    Reply,
    ask_token,
    assertion_of,
    doctor,
    fill_in,
    message,
    post,
    token_request,
)

INFO = f'<c:GetBoxInfoRequest xmlns:c="{BOX}"/>'
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


def info(simulator: Simulator, data: bytes | etree._Element, action: str = BOX_INFO) -> Reply:
    return post(simulator, BOX_PATH, action, data)


def test_a_good_message_passes(simulator: Simulator, elise: Doctor, token: str) -> None:
    assert info(simulator, message(INFO, elise, token)).status == 200


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"not xml", "SOA-03001"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "SOA-03001"),
        (b"<x/>", "SOA-03002"),
        (f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), "SOA-03003"),
        (f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode(), "SOA-03003"),
        (f'<s:Envelope xmlns:s="{SOAP}"><s:Body><a/></s:Body><s:Body/></s:Envelope>'.encode(), "SOA-03002"),
        (f'<s:Envelope xmlns:s="{SOAP}"><s:Body><a/></s:Body></s:Envelope>'.encode(), "SOA-03005"),
    ],
)
def test_what_is_not_a_call_is_refused(simulator: Simulator, data: bytes, code: str) -> None:
    assert info(simulator, data).code == code


def test_another_content_type_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    data = message(INFO, elise, token)
    assert post(simulator, BOX_PATH, BOX_INFO, data, "application/soap+xml").code == "SOA-03002"


@pytest.mark.parametrize("action", ["", BOX_LIST, "urn:other"])
def test_a_wrong_action_is_refused(simulator: Simulator, elise: Doctor, token: str, action: str) -> None:
    assert info(simulator, message(INFO, elise, token), action).code == "SOA-03004"


def test_a_body_for_another_service_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    assert post(simulator, ETK_PATH, "", message(INFO, elise, token)).code == "SOA-03005"


def test_a_body_outside_the_schema_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    bad = f'<c:GetMessagesListRequest xmlns:c="{BOX}"><Source>ATTIC</Source></c:GetMessagesListRequest>'
    assert info(simulator, message(bad, elise, token), BOX_LIST).code == "SOA-03006"


def test_an_oversize_message_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    data = etree.tostring(message(INFO, elise, token)) + b" " * (1024 * 1024)
    assert info(simulator, data).code == "SOA-03001"


def test_the_same_message_twice_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    data = etree.tostring(message(INFO, elise, token))
    assert info(simulator, data).status == 200
    assert info(simulator, data).code == "SOA-01001"


@pytest.mark.parametrize(
    ("offset", "lifetime"),
    [(-120, 60), (300, 60), (0, 3600), (0, -1)],
    ids=["expired", "future", "too long", "backwards"],
)
def test_a_timestamp_outside_its_window_is_refused(
    simulator: Simulator, elise: Doctor, token: str, offset: int, lifetime: int
) -> None:
    created = datetime.now(UTC) + timedelta(seconds=offset)
    data = message(INFO, elise, token, created=created, lifetime=lifetime)
    assert info(simulator, data).code == "SOA-01001"


@pytest.mark.parametrize("signed", [(), ("timestamp",), ("body",)])
def test_what_must_be_signed_and_is_not_is_refused(
    simulator: Simulator, elise: Doctor, token: str, signed: tuple[str, ...]
) -> None:
    assert info(simulator, message(INFO, elise, token, signed=signed)).code == "SOA-01001"


def test_what_need_not_be_signed_and_is_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    data = message(INFO, elise, token, signed=("timestamp", "body", "extra"))
    assert info(simulator, data).code == "SOA-01001"


def test_the_token_of_the_x509_profile_must_be_signed(simulator: Simulator, elise: Doctor) -> None:
    assert ask_token(simulator, elise, signed=("timestamp", "body")).code == "SOA-01001"


def test_weak_algorithms_are_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    assert info(simulator, message(INFO, elise, token, digest=SHA1)).code == "SOA-01001"
    assert info(simulator, message(INFO, elise, token, transforms=(C14N,))).code == "SOA-01001"
    assert info(simulator, message(INFO, elise, token, transforms=(ENVELOPED, EXC_C14N))).code == "SOA-01001"


@pytest.mark.parametrize(
    "kind",
    ["expired", "not-yet-valid", "foreign-ca", "acceptance-issuer", "production-issuer", "organisation"],
)
def test_a_certificate_that_is_not_good_now_is_refused(
    simulator: Simulator, elise: Doctor, kind: str
) -> None:
    owner = "71000012" if kind == "organisation" else "75062712377"
    assert ask_token(simulator, doctor(simulator, owner, "10000007004", kind)).code == "SOA-01001"


def test_a_revoked_certificate_is_refused(simulator: Simulator) -> None:
    revoked = doctor(simulator, "75062712377", "10000007004")
    assertion = assertion_of(ask_token(simulator, revoked))
    simulator.control("revocations", {"serial": str(revoked.certificate.serial_number)})
    assert ask_token(simulator, revoked).code == "SOA-01001"
    assert info(simulator, message(INFO, revoked, assertion)).code == "SOA-01001"


def test_a_certificate_beside_the_key_that_signed_is_refused(simulator: Simulator, elise: Doctor) -> None:
    other = doctor(simulator, "75062712377", "10000007004")
    assert ask_token(simulator, elise, certificate=other.certificate).code == "SOA-01001"


def test_the_token_of_another_person_is_refused(simulator: Simulator, token: str) -> None:
    other = doctor(simulator, "75062712377", "10000007004")
    assert info(simulator, message(INFO, other, token)).code == "SOA-01001"


def test_an_altered_token_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    for old, new in ((elise.nihii, "10000007004"), ("true", "True"), ("Élise", "Elise")):
        altered = token.replace(old, new)
        assert altered != token
        assert info(simulator, message(INFO, elise, altered)).code == "SOA-01001"


def test_a_token_signed_by_its_own_holder_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    root = etree.fromstring(token)
    root.find(f"{{{DS}}}Signature").find(f".//{{{DS}}}DigestValue").text = ""
    xmlsec.tree.add_ids(root, ["AssertionID"])
    fill_in(root, root.find(f"{{{DS}}}Signature"), elise)
    assert info(simulator, message(INFO, elise, etree.tostring(root).decode())).code == "SOA-01001"


def test_an_expired_token_is_refused(simulator: Simulator, elise: Doctor) -> None:
    simulator.fault("expired-token", service="sts")
    old = assertion_of(ask_token(simulator, elise))
    assert info(simulator, message(INFO, elise, old)).code == "SOA-01001"


def test_a_person_who_is_no_doctor_is_not_authorised(simulator: Simulator) -> None:
    nobody = doctor(simulator, "90020200136", None, doctor=False)
    assertion = assertion_of(ask_token(simulator, nobody))
    assert info(simulator, message(INFO, nobody, assertion)).code == "SOA-01002"


def test_a_person_who_was_barred_is_not_authorised(simulator: Simulator) -> None:
    barred = doctor(simulator, "75062712377", "10000007004", authorised=False)
    assertion = assertion_of(ask_token(simulator, barred))
    assert info(simulator, message(INFO, barred, assertion)).code == "SOA-01002"
    simulator.add_person("75062712377", authorised=True)


def altered_body(root: etree._Element) -> None:
    body(root)[0].set("extra", "1")


def altered_value(root: etree._Element) -> None:
    value = root.find(f".//{{{WSSE}}}Security/{{{DS}}}Signature/{{{DS}}}SignatureValue")
    value.text = value.text.replace(value.text.strip()[0], "Z" if value.text.strip()[0] != "Z" else "Y", 1)


def body(root: etree._Element) -> etree._Element:
    return root.find(f"{{{SOAP}}}Body")


def security(root: etree._Element) -> etree._Element:
    return root.find(f".//{{{WSSE}}}Security")


def forged(root: etree._Element, *, same_id: bool) -> etree._Element:
    """Replaces the body with another one and gives the signed one back."""
    original = body(root)
    fake = copy.deepcopy(original)
    if not same_id:
        fake.set(f"{{{WSU}}}Id", "forged")
    root.replace(original, fake)
    return original


def body_in_a_header(root: etree._Element) -> None:
    original = forged(root, same_id=False)
    etree.SubElement(root[0], "wrapper").append(original)


def body_in_a_header_with_its_id_kept(root: etree._Element) -> None:
    original = forged(root, same_id=True)
    etree.SubElement(root[0], "wrapper").append(original)


def body_without_id_beside_the_signed_one(root: etree._Element) -> None:
    original = forged(root, same_id=False)
    del body(root).attrib[f"{{{WSU}}}Id"]
    etree.SubElement(root[0], "wrapper").append(original)


def body_in_the_security_header(root: etree._Element) -> None:
    original = forged(root, same_id=False)
    security(root).append(original)


def body_in_an_object_of_the_signature(root: etree._Element) -> None:
    original = forged(root, same_id=False)
    etree.SubElement(security(root).find(f"{{{DS}}}Signature"), f"{{{DS}}}Object").append(original)


def body_inside_the_forged_one(root: etree._Element) -> None:
    original = forged(root, same_id=False)
    body(root)[0].append(original)


def body_under_another_kind_of_id(root: etree._Element) -> None:
    etree.SubElement(root[0], "wrapper", Id=body(root).get(f"{{{WSU}}}Id"))


def timestamp_in_a_wrapper(root: etree._Element) -> None:
    original = security(root).find(f"{{{WSU}}}Timestamp")
    fake = copy.deepcopy(original)
    fake.set(f"{{{WSU}}}Id", "forged")
    security(root).replace(original, fake)
    etree.SubElement(root[0], "wrapper").append(original)


def second_timestamp(root: etree._Element) -> None:
    fake = copy.deepcopy(security(root).find(f"{{{WSU}}}Timestamp"))
    fake.set(f"{{{WSU}}}Id", "forged")
    security(root).insert(0, fake)


def second_security_header(root: etree._Element) -> None:
    root[0].insert(0, etree.Element(f"{{{WSSE}}}Security", {f"{{{SOAP}}}mustUnderstand": "1"}))


def second_security_header_in_a_wrapper(root: etree._Element) -> None:
    etree.SubElement(etree.SubElement(root[0], "wrapper"), f"{{{WSSE}}}Security")


def second_signature(root: etree._Element) -> None:
    security(root).append(copy.deepcopy(security(root).find(f"{{{DS}}}Signature")))


def second_assertion(root: etree._Element) -> None:
    fake = copy.deepcopy(security(root).find(f"{{{SAML}}}Assertion"))
    fake.set("AssertionID", "_forged")
    security(root).insert(0, fake)


def reference_to_the_whole_document(root: etree._Element) -> None:
    security(root).find(f".//{{{DS}}}Reference").set("URI", "")


def reference_by_pointer(root: etree._Element) -> None:
    reference = security(root).find(f"{{{DS}}}Signature//{{{DS}}}Reference")
    reference.set("URI", f"#xpointer(id('{reference.get('URI')[1:]}'))")


def security_not_understood(root: etree._Element) -> None:
    del security(root).attrib[f"{{{SOAP}}}mustUnderstand"]


MANIPULATIONS = [
    altered_body,
    altered_value,
    body_in_a_header,
    body_in_a_header_with_its_id_kept,
    body_without_id_beside_the_signed_one,
    body_in_the_security_header,
    body_in_an_object_of_the_signature,
    body_inside_the_forged_one,
    body_under_another_kind_of_id,
    timestamp_in_a_wrapper,
    second_timestamp,
    second_security_header,
    second_security_header_in_a_wrapper,
    second_signature,
    second_assertion,
    reference_to_the_whole_document,
    reference_by_pointer,
    security_not_understood,
]


@pytest.mark.parametrize("manipulate", MANIPULATIONS, ids=lambda function: function.__name__)
def test_a_message_changed_after_signing_is_refused(
    simulator: Simulator, elise: Doctor, token: str, manipulate: Callable[[etree._Element], None]
) -> None:
    root = message(INFO, elise, token)
    manipulate(root)
    assert info(simulator, root).code == "SOA-01001"


def test_changes_of_a_token_request_are_refused(simulator: Simulator, elise: Doctor) -> None:
    for manipulate in (altered_body, altered_value, body_in_a_header, timestamp_in_a_wrapper):
        root = message(token_request(elise), elise)
        manipulate(root)
        assert post(simulator, STS_PATH, STS_ACTION, root).code == "SOA-01001"
