"""Everything the gateway must not let through, in one table: family, what is wrong, the code it gets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

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
    REG,
    REG_ACTION,
    REG_PATH,
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
ATTIC = f'<c:GetMessagesListRequest xmlns:c="{BOX}"><Source>ATTIC</Source></c:GetMessagesListRequest>'
EMPTY = f'<r:RegisterToMycarenetServiceRequest xmlns:r="{REG}"/>'
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
MEGABYTE = b" " * (1024 * 1024)
Manipulation = Callable[[etree._Element], None]


@dataclass
class World:
    """Who takes part: a doctor with a token, and another doctor."""

    simulator: Simulator
    elise: Doctor
    token: str
    other: Doctor

    def info(self, data: bytes | etree._Element, action: str = BOX_INFO, **how: str) -> Reply:
        """A call of the mailbox."""
        return post(self.simulator, BOX_PATH, action, data, **how)

    def said(self, **how: object) -> Reply:
        """The good message of the doctor, but for what is given."""
        return self.info(message(INFO, self.elise, self.token, **how))

    def with_token(self, token: str | etree._Element, who: Doctor | None = None) -> Reply:
        """The good message with another token."""
        given = token if isinstance(token, str) else etree.tostring(token).decode()
        return self.info(message(INFO, who or self.elise, given))

    def asked(self, **how: object) -> Reply:
        """The good request for a token, but for what is given."""
        return ask_token(self.simulator, self.elise, **how)

    def asked_with(self, kind: str) -> Reply:
        """A request for a token with a certificate of that kind."""
        owner = "71000012" if kind == "organisation" else "75062712377"
        return ask_token(self.simulator, doctor(self.simulator, owner, "10000007004", kind))


@pytest.fixture(scope="module")
def world(simulator: Simulator, elise: Doctor, token: str) -> World:
    return World(simulator, elise, token, doctor(simulator, "75062712377", "10000007004"))


# What is done to a message after it was signed.


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


def token_in_a_wrapper(root: etree._Element) -> None:
    """Of the X.509 profile: another certificate where the reader looks, the signed one elsewhere."""
    original = security(root).find(f"{{{WSSE}}}BinarySecurityToken")
    fake = copy.deepcopy(original)
    fake.set(f"{{{WSU}}}Id", "forged")
    security(root).replace(original, fake)
    etree.SubElement(root[0], "wrapper").append(original)


def no_signature(root: etree._Element) -> None:
    security(root).remove(security(root).find(f"{{{DS}}}Signature"))


def no_security_header(root: etree._Element) -> None:
    root[0].remove(security(root))


def no_header(root: etree._Element) -> None:
    root.remove(root[0])


def said_then(manipulate: Manipulation) -> Callable[[World], Reply]:
    """A good call of the mailbox, changed after it was signed."""

    def send(world: World) -> Reply:
        root = message(INFO, world.elise, world.token)
        manipulate(root)
        return world.info(root)

    return send


def asked_then(manipulate: Manipulation) -> Callable[[World], Reply]:
    """A good request for a token, changed after it was signed."""

    def send(world: World) -> Reply:
        root = message(token_request(world.elise), world.elise)
        manipulate(root)
        return post(world.simulator, STS_PATH, STS_ACTION, root)

    return send


# What is done to a token.


def altered(old: str, new: str) -> Callable[[World], Reply]:
    def send(world: World) -> Reply:
        assert old in world.token
        return world.with_token(world.token.replace(old, new))

    return send


def signed_by_its_holder(world: World) -> Reply:
    root = etree.fromstring(world.token)
    root.find(f"{{{DS}}}Signature").find(f".//{{{DS}}}DigestValue").text = ""
    xmlsec.tree.add_ids(root, ["AssertionID"])
    fill_in(root, root.find(f"{{{DS}}}Signature"), world.elise)
    return world.with_token(root)


def end_postponed(world: World) -> Reply:
    root = etree.fromstring(world.token)
    root.find(f"{{{SAML}}}Conditions").set("NotOnOrAfter", "2199-01-01T00:00:00.000Z")
    return world.with_token(root)


def signature_of_the_token_left_out(world: World) -> Reply:
    root = etree.fromstring(world.token)
    root.remove(root.find(f"{{{DS}}}Signature"))
    return world.with_token(root)


def fake_token(world: World) -> tuple[etree._Element, etree._Element]:
    """The true token, and a copy with another number that keeps its signature."""
    true = etree.fromstring(world.token)
    fake = etree.fromstring(world.token.replace(world.elise.nihii, "10000007004"))
    fake.set("AssertionID", "_forged")
    return true, fake


def true_token_in_the_signature(world: World) -> Reply:
    true, fake = fake_token(world)
    etree.SubElement(fake.find(f"{{{DS}}}Signature"), f"{{{DS}}}Object").append(true)
    return world.with_token(fake)


def true_token_in_advice(world: World) -> Reply:
    true, fake = fake_token(world)
    etree.SubElement(fake, f"{{{SAML}}}Advice").append(true)
    return world.with_token(fake)


def true_token_with_the_same_identifier(world: World) -> Reply:
    true, fake = fake_token(world)
    fake.set("AssertionID", true.get("AssertionID"))
    etree.SubElement(fake, f"{{{SAML}}}Advice").append(true)
    return world.with_token(fake)


def expired_token(world: World) -> Reply:
    world.simulator.fault("expired-token", service="sts")
    return world.with_token(assertion_of(world.asked()))


# Who may not.


def revoked_at_the_sts(world: World) -> Reply:
    who = doctor(world.simulator, "75062712377", "10000007004")
    world.simulator.control("revocations", {"serial": str(who.certificate.serial_number)})
    return ask_token(world.simulator, who)


def revoked_since_the_token(world: World) -> Reply:
    who = doctor(world.simulator, "75062712377", "10000007004")
    assertion = assertion_of(ask_token(world.simulator, who))
    world.simulator.control("revocations", {"serial": str(who.certificate.serial_number)})
    return world.with_token(assertion, who)


def no_doctor(world: World) -> Reply:
    who = doctor(world.simulator, "90020200136", None, doctor=False)
    return world.with_token(assertion_of(ask_token(world.simulator, who)), who)


def barred(world: World) -> Reply:
    who = doctor(world.simulator, "71010101319", "10011190004", authorised=False)
    return world.with_token(assertion_of(ask_token(world.simulator, who)), who)


def asked_about_another(world: World) -> Reply:
    wish = token_request(world.elise, asserted="75062712377")
    return post(world.simulator, STS_PATH, STS_ACTION, message(wish, world.elise))


def twice(change: bytes = b"") -> Callable[[World], Reply]:
    """A message that was taken is sent again, perhaps with something added that nobody signed."""

    def send(world: World) -> Reply:
        data = etree.tostring(message(INFO, world.elise, world.token))
        assert world.info(data).status == 200
        return world.info(data.replace(b"<soap:Header>", b"<soap:Header>" + change))

    return send


def asked_twice(world: World) -> Reply:
    data = etree.tostring(message(token_request(world.elise), world.elise))
    assert post(world.simulator, STS_PATH, STS_ACTION, data).status == 200
    return post(world.simulator, STS_PATH, STS_ACTION, data)


def raw(text: str) -> Callable[[World], Reply]:
    return lambda world: world.info(text.encode())


def signed_body(body: str, path: str, action: str) -> Callable[[World], Reply]:
    """A body that is not what the operation expects, under a good signature."""
    return lambda world: post(world.simulator, path, action, message(body, world.elise, world.token))


def at(seconds: int, lifetime: int = 60) -> Callable[[World], Reply]:
    return lambda world: world.said(created=datetime.now(UTC) + timedelta(seconds=seconds), lifetime=lifetime)


def envelope(content: str) -> Callable[[World], Reply]:
    return raw(f'<s:Envelope xmlns:s="{SOAP}">{content}</s:Envelope>')


REFUSALS: dict[str, dict[str, tuple[Callable[[World], Reply], str]]] = {
    "not a call": {
        "no XML": (raw("not xml"), "SOA-03001"),
        "a DTD": (raw('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'), "SOA-03001"),
        "no envelope": (raw("<x/>"), "SOA-03002"),
        "no body": (envelope(""), "SOA-03003"),
        "an empty body": (envelope("<s:Body/>"), "SOA-03003"),
        "two bodies": (envelope("<s:Body><a/></s:Body><s:Body/>"), "SOA-03002"),
        "an unknown operation": (envelope("<s:Body><a/></s:Body>"), "SOA-03005"),
        "the operation of another service": (signed_body(INFO, ETK_PATH, ""), "SOA-03005"),
        "SOAP 1.2 by its type": (
            lambda world: world.info(message(INFO, world.elise, world.token), kind="application/soap+xml"),
            "SOA-03002",
        ),
    },
    "wrong SOAPAction": {
        "empty": (signed_body(INFO, BOX_PATH, ""), "SOA-03004"),
        "of another operation": (signed_body(INFO, BOX_PATH, BOX_LIST), "SOA-03004"),
        "unknown": (signed_body(INFO, BOX_PATH, "urn:other"), "SOA-03004"),
        "of another service": (signed_body(INFO, BOX_PATH, STS_ACTION), "SOA-03004"),
    },
    "unsigned": {
        "no signature": (said_then(no_signature), "SOA-01001"),
        "no security header": (said_then(no_security_header), "SOA-01001"),
        "no header": (said_then(no_header), "SOA-01001"),
        "nothing": (lambda world: world.said(signed=()), "SOA-01001"),
        "no body": (lambda world: world.said(signed=("timestamp",)), "SOA-01001"),
        "no timestamp": (lambda world: world.said(signed=("body",)), "SOA-01001"),
        "no token, at the STS": (lambda world: world.asked(signed=("timestamp", "body")), "SOA-01001"),
    },
    "wrongly signed": {
        "the body changed": (said_then(altered_body), "SOA-01001"),
        "the value changed": (said_then(altered_value), "SOA-01001"),
        "the body changed, at the STS": (asked_then(altered_body), "SOA-01001"),
        "the value changed, at the STS": (asked_then(altered_value), "SOA-01001"),
        "digest of SHA-1": (lambda world: world.said(digest=SHA1), "SOA-01001"),
        "inclusive canonicalisation": (lambda world: world.said(transforms=(C14N,)), "SOA-01001"),
        "a transform more": (lambda world: world.said(transforms=(ENVELOPED, EXC_C14N)), "SOA-01001"),
        "something more": (lambda world: world.said(signed=("timestamp", "body", "extra")), "SOA-01001"),
        "the header not marked": (said_then(security_not_understood), "SOA-01001"),
        "another certificate beside": (
            lambda world: world.asked(certificate=world.other.certificate),
            "SOA-01001",
        ),
    },
    "wrapped": {
        **{
            manipulate.__name__.replace("_", " "): (said_then(manipulate), "SOA-01001")
            for manipulate in (
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
            )
        },
        "body in a header, at the STS": (asked_then(body_in_a_header), "SOA-01001"),
        "timestamp in a wrapper, at the STS": (asked_then(timestamp_in_a_wrapper), "SOA-01001"),
        "token in a wrapper, at the STS": (asked_then(token_in_a_wrapper), "SOA-01001"),
        "true token in the signature": (true_token_in_the_signature, "SOA-01001"),
        "true token in advice": (true_token_in_advice, "SOA-01001"),
        "true token with the same identifier": (true_token_with_the_same_identifier, "SOA-01001"),
    },
    "out of time": {
        "expired": (at(-120), "SOA-01001"),
        "of the future": (at(300), "SOA-01001"),
        "too long": (at(0, 3600), "SOA-01001"),
        "backwards": (at(0, -1), "SOA-01001"),
        "an expired token": (expired_token, "SOA-01001"),
    },
    "foreign certificate": {
        **{
            kind: (partial(World.asked_with, kind=kind), "SOA-01001")
            for kind in (
                "expired",
                "not-yet-valid",
                "foreign-ca",
                "acceptance-issuer",
                "production-issuer",
                "organisation",
            )
        },
        "revoked": (revoked_at_the_sts, "SOA-01001"),
        "revoked since the token": (revoked_since_the_token, "SOA-01001"),
    },
    "another person": {
        "the token of another": (lambda world: world.with_token(world.token, world.other), "SOA-01001"),
        "a token asked about another": (asked_about_another, "SOA-01001"),
        "a certificate in the name of another": (
            lambda world: ask_token(
                world.simulator, doctor(world.simulator, world.elise.ssin, world.elise.nihii, "other-person")
            ),
            "SOA-01001",
        ),
    },
    "altered assertion": {
        "another number": (altered("19999915004", "10000007004"), "SOA-01001"),
        "another quality": (altered("true", "True"), "SOA-01001"),
        "another name": (altered("Élise", "Elise"), "SOA-01001"),
        "a later end": (end_postponed, "SOA-01001"),
        "signed by its holder": (signed_by_its_holder, "SOA-01001"),
        "its signature left out": (signature_of_the_token_left_out, "SOA-01001"),
    },
    "not allowed": {
        "no doctor": (no_doctor, "SOA-01002"),
        "barred": (barred, "SOA-01002"),
    },
    "outside the schema": {
        "a value": (signed_body(ATTIC, BOX_PATH, BOX_LIST), "SOA-03006"),
        "an attribute": (signed_body(INFO.replace("/>", ' x="1"/>'), BOX_PATH, BOX_INFO), "SOA-03006"),
        "everything missing": (signed_body(EMPTY, REG_PATH, REG_ACTION), "SOA-03006"),
    },
    "replayed": {
        "as it was": (twice(), "SOA-01001"),
        "with another header": (twice(b"<more/>"), "SOA-01001"),
        "at the STS": (asked_twice, "SOA-01001"),
    },
    "oversize": {
        "behind the envelope": (
            lambda world: world.info(etree.tostring(message(INFO, world.elise, world.token)) + MEGABYTE),
            "SOA-03001",
        ),
        "nothing but": (lambda world: world.info(MEGABYTE + b"."), "SOA-03001"),
    },
}
CASES = [(family, name) for family, cases in REFUSALS.items() for name in cases]


@pytest.mark.parametrize(("family", "name"), CASES)
def test_each_wrong_message_is_refused_with_its_code(world: World, family: str, name: str) -> None:
    send, code = REFUSALS[family][name]
    assert send(world).code == code


def test_the_table_is_complete() -> None:
    counts = {family: len(cases) for family, cases in REFUSALS.items()}
    assert counts == {
        "not a call": 9,
        "wrong SOAPAction": 4,
        "unsigned": 7,
        "wrongly signed": 10,
        "wrapped": 21,
        "out of time": 5,
        "foreign certificate": 8,
        "another person": 3,
        "altered assertion": 6,
        "not allowed": 2,
        "outside the schema": 3,
        "replayed": 3,
        "oversize": 2,
    }
    assert counts["wrapped"] >= 12


def test_a_good_message_passes(world: World) -> None:
    assert world.said().status == 200
    assert world.asked().status == 200
