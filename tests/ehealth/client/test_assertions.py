"""A token is accepted only as the STS made it, for this person, this key, and now."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from ehealth.client import names
from ehealth.client.assertions import cut_out, restore, verify
from ehealth.client.errors import Malformed, NotAuthentic
from ehealth.client.platform import Assertion
from ehealth.client.xml import parse
from tests.ehealth.client import parties

ME = parties.identity("rsa")
DS, SAML = names.DS, names.SAML


def good(**changes: object) -> bytes:
    return parties.signed_by_xmlsec(parties.unsigned_assertion(ME, **changes))  # type: ignore[arg-type]


def judged(xml: bytes) -> Assertion:
    return verify(xml, issued_by=[parties.sts()[1]], identity=ME, now=parties.NOW)


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_a_token_of_the_sts_is_read_from_the_octets_that_are_kept(kind: str) -> None:
    xml = parties.signed_by_xmlsec(parties.unsigned_assertion(ME), kind=kind)
    found = verify(xml, issued_by=[parties.sts(kind)[1]], identity=ME, now=parties.NOW)
    assert (found.xml, found.nihii) == (xml, parties.NIHII)
    assert found.not_on_or_after - found.not_before == timedelta(hours=24, minutes=5)
    assert found.certificate == ME.certificate
    assert restore(xml) == found


def test_a_token_names_no_person_and_no_key_when_it_is_printed() -> None:
    shown = repr(judged(good())) + repr(ME) + repr(parties.platform())
    for secret in (parties.SSIN, parties.NIHII, "licence-secret", "licence-user", "MII"):
        assert secret not in shown


def signature_of(xml: bytes) -> bytes:
    found = re.search(rb"<ds:Signature .*</ds:Signature>", xml, re.S)
    assert found
    return found[0]


def forged(xml: bytes) -> bytes:
    """The same token, said to be somebody else's, without a signature."""
    changed = xml.replace(parties.SSIN.encode(), b"71020203081").replace(signature_of(xml), b"")
    return re.sub(rb'AssertionID="_\w+"', b'AssertionID="_forged"', changed)


def inside(outer: bytes, place: bytes, inner: bytes) -> bytes:
    return outer.replace(place, inner + place, 1)


def wrapped_in_object(xml: bytes) -> bytes:
    hidden = b"<ds:Object>" + xml.replace(signature_of(xml), b"") + b"</ds:Object></ds:Signature>"
    signature = signature_of(xml).replace(b"</ds:Signature>", hidden)
    return inside(forged(xml), b"</saml:Assertion>", signature)


def wrapped_in_object_with_same_identifier(xml: bytes) -> bytes:
    identifier = re.search(rb'AssertionID="(_\w+)"', xml)
    assert identifier
    return wrapped_in_object(xml).replace(b"_forged", identifier[1])


def original_inside_the_forged(xml: bytes) -> bytes:
    return inside(forged(xml), b"</saml:Assertion>", xml)


def original_inside_advice(xml: bytes) -> bytes:
    return inside(forged(xml), b"<saml:AuthenticationStatement", b"<saml:Advice>" + xml + b"</saml:Advice>")


def forged_inside_the_original(xml: bytes) -> bytes:
    return inside(xml, b"<ds:Signature ", forged(xml))


def signature_moved_first(xml: bytes) -> bytes:
    signature = signature_of(xml)
    return inside(xml.replace(signature, b""), b"  <saml:Conditions", signature)


def signature_one_level_down(xml: bytes) -> bytes:
    signature = signature_of(xml)
    return xml.replace(signature, b"<saml:Advice>" + signature + b"</saml:Advice>")


def signature_doubled(xml: bytes) -> bytes:
    return xml.replace(signature_of(xml), signature_of(xml) * 2)


def signature_left_out(xml: bytes) -> bytes:
    return xml.replace(signature_of(xml), b"")


def reference_doubled(xml: bytes) -> bytes:
    found = re.search(rb"<ds:Reference .*</ds:Reference>", xml, re.S)
    assert found
    return xml.replace(found[0], found[0] * 2)


def changed(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    def change(xml: bytes) -> bytes:
        assert before in xml
        return xml.replace(before, after)

    return change


def resigned(**how: object) -> Callable[[bytes], bytes]:
    def change(_xml: bytes) -> bytes:
        text = parties.unsigned_assertion(ME)
        return parties.signed_by_xmlsec(text, **how)  # type: ignore[arg-type]

    return change


STRANGER = rsa.generate_private_key(65537, 2048)
ENVELOPED = f'<ds:Transform Algorithm="{names.ENVELOPED}"/>'.encode()
HMAC = b"http://www.w3.org/2000/09/xmldsig#hmac-sha1"
VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "original hidden in ds:Object": wrapped_in_object,
    "original hidden in ds:Object, same identifier": wrapped_in_object_with_same_identifier,
    "original inside the forged": original_inside_the_forged,
    "original inside advice": original_inside_advice,
    "forged inside the original": forged_inside_the_original,
    "signature moved first": signature_moved_first,
    "signature one level down": signature_one_level_down,
    "signature doubled": signature_doubled,
    "signature left out": signature_left_out,
    "reference doubled": reference_doubled,
    "reference to nothing": changed(b'URI="#_', b'URI="#x_'),
    "reference to the whole document": lambda xml: re.sub(rb'URI="#_\w+"', b'URI=""', xml),
    "enveloped transform removed": changed(ENVELOPED, b""),
    "enveloped transform doubled": changed(ENVELOPED, ENVELOPED * 2),
    "transform XSLT": changed(names.ENVELOPED.encode(), b"http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "signature method HMAC": changed(names.RSA_SHA256.encode(), HMAC),
    "signature method SHA-1": resigned(method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
    "digest SHA-1": resigned(digest="http://www.w3.org/2000/09/xmldsig#sha1"),
    "signed by a stranger": resigned(key=STRANGER),
    "person changed": changed(b"84011012387", b"84011012388"),
    "number changed": changed(parties.NIHII.encode(), b"19999916002"),
    "text cut by a comment": changed(b">19999915004", b">19999<!-- -->15004 "),
    "end postponed": lambda xml: re.sub(rb'NotOnOrAfter="2', b'NotOnOrAfter="3', xml),
    "identifier doubled": changed(b"<saml:AttributeStatement>", b'<saml:AttributeStatement ID="_x" Id="_x">'),
    "another root": lambda xml: b"<a>" + xml + b"</a>",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wrapped_or_altered_token_is_not_authentic(variant: str) -> None:
    xml = VARIANTS[variant](good())
    with pytest.raises(NotAuthentic):
        judged(xml)


FIRST_STEP = f'<ds:Transform Algorithm="{names.ENVELOPED}"/>'
ODD_SHAPES: dict[str, Callable[[str], str]] = {
    "whole document": lambda template: re.sub(r'URI="#[^"]+"', 'URI=""', template),
    "two references": lambda template: re.sub(
        r"(<ds:Reference.*</ds:Reference>)", r"\1\1", template, flags=re.S
    ),
    "a transform more": lambda template: template.replace(FIRST_STEP, FIRST_STEP * 2),
    "inclusive canonicalisation": lambda template: template.replace(
        names.EXCLUSIVE, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    ),
    "object beside": lambda template: template.replace("</ds:Signature>", "<ds:Object/></ds:Signature>"),
}


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_a_true_signature_of_another_shape_than_the_platforms_is_not_followed(shape: str) -> None:
    xml = parties.signed_by_xmlsec(parties.unsigned_assertion(ME), shape=ODD_SHAPES[shape])
    with pytest.raises(NotAuthentic, match=r"something else|one reference|transforms|canonicalisation|shape"):
        judged(xml)


def test_a_true_signature_with_a_list_of_inclusive_prefixes_is_followed() -> None:
    prefixes = f'<e:InclusiveNamespaces xmlns:e="{names.EC}" PrefixList="ds saml #default"/>'
    step = f'<ds:Transform Algorithm="{names.EXCLUSIVE}"/>'
    longer = step.replace("/>", f">{prefixes}</ds:Transform>")
    xml = parties.signed_by_xmlsec(
        parties.unsigned_assertion(ME), shape=lambda template: template.replace(step, longer)
    )
    assert judged(xml).nihii == parties.NIHII


@pytest.mark.parametrize("place", ["identifier", "assertion"])
def test_a_truly_signed_token_that_hides_another_thing_is_not_authentic(place: str) -> None:
    plain = parties.unsigned_assertion(ME)
    identifier = re.search(r'AssertionID="(\w+)"', plain)
    assert identifier
    hidden = {"identifier": f'<saml:Doing Id="{identifier[1]}"/>', "assertion": "<saml:Assertion/>"}[place]
    extra = f"<saml:Advice>{hidden}</saml:Advice><saml:AttributeStatement>"
    xml = parties.signed_by_xmlsec(plain.replace("<saml:AttributeStatement>", extra))
    with pytest.raises(NotAuthentic, match=r"identifiers|assertion within"):
        judged(xml)


def claims(**changes: str) -> str:
    return parties.attributes(**changes)


TWISTED = claims().replace(parties.CERTIFIED, parties.CLAIMED)
WRONG_CONTENT = {
    "issuer": {"issuer": "urn:be:fgov:ehealth:sts:1_1"},
    "already over": {"born": parties.NOW - timedelta(hours=25)},
    "over at this very second": {"born": parties.NOW - timedelta(hours=24)},
    "not yet valid": {"born": parties.NOW + timedelta(minutes=6)},
    "bearer": {"method": "urn:oasis:names:tc:SAML:1.0:cm:bearer"},
    "another person": {"claims": claims(ssin="71020203081")},
    "no person": {"claims": parties.attribute("urn:be:fgov:person:ssin:doctor:boolean", "true")},
    "number claimed instead of certified": {"claims": TWISTED},
    "number given twice": {"claims": claims() + claims()},
}


@pytest.mark.parametrize("fault", WRONG_CONTENT)
def test_a_well_signed_token_that_says_the_wrong_thing_is_not_authentic(fault: str) -> None:
    with pytest.raises(NotAuthentic):
        judged(good(**WRONG_CONTENT[fault]))


def test_a_token_for_another_certificate_is_not_authentic() -> None:
    other = replace(parties.identity("p384"), ssin=parties.SSIN)
    xml = parties.signed_by_xmlsec(parties.unsigned_assertion(other))
    with pytest.raises(NotAuthentic, match="holder of key"):
        judged(xml)


def test_no_token_is_authentic_when_no_sts_is_configured_or_its_certificate_has_ended() -> None:
    later = parties.NOW + timedelta(days=2000)
    for trusted, now in (([], parties.NOW), ([parties.sts()[1]], later)):
        with pytest.raises(NotAuthentic, match="trusted key"):
            verify(good(born=now), issued_by=trusted, identity=ME, now=now)


def test_a_token_without_its_dates_is_malformed() -> None:
    text = re.sub(r"<saml:Conditions[^>]*/>", "", parties.unsigned_assertion(ME))
    with pytest.raises(Malformed):
        judged(parties.signed_by_xmlsec(text))


def test_a_token_is_cut_out_of_its_answer_byte_for_byte() -> None:
    xml = good()
    answer = b'<a xmlns="urn:a">\n' + xml + b"\n</a>"
    (element,) = parse(answer)
    assert cut_out(answer, element) == xml


def test_a_token_that_leans_on_its_surroundings_is_kept_in_canonical_form_and_still_verifies() -> None:
    xml = good()
    bare = re.sub(rb'xmlns:saml="[^"]+"', b"", xml, count=1)
    answer = f'<a xmlns:saml="{SAML}">'.encode() + bare + b"</a>"
    (element,) = parse(answer)
    kept = cut_out(answer, element)
    assert kept.startswith(b"<saml:Assertion xmlns:saml=")
    assert judged(kept).nihii == parties.NIHII


def test_an_answer_that_names_the_token_twice_is_refused() -> None:
    xml = good()
    answer = b"<a>" + xml + b"<![CDATA[<saml:Assertion >]]></a>"
    with pytest.raises(NotAuthentic):
        cut_out(answer, parse(answer)[0])


def test_white_space_behind_the_signature_belongs_to_what_is_signed() -> None:
    xml = good()
    with pytest.raises(NotAuthentic, match="digest"):
        judged(xml.replace(b"</ds:Signature></saml:Assertion>", b"</ds:Signature> </saml:Assertion>"))
