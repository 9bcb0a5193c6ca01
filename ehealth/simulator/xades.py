"""XAdES-BES over the Detail of MyCareNet messages: checking the doctor's, making MyCareNet's."""

import base64
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from lxml import etree

from ehealth.simulator import xmldsig
from ehealth.simulator.pki import Signer
from ehealth.simulator.soap import DS, new_id, parse_xml, text
from ehealth.simulator.wsse import SKEW, instant
from ehealth.simulator.xmldsig import BadSignature

XADES = "http://uri.etsi.org/01903/v1.3.2#"
SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
BASE64 = f"{DS}base64"
OPTIONAL_DEFLATE = "urn:nippin:xml:sig:transform:optional-deflate"
OLDEST = timedelta(days=1)


def check(
    encoded: bytes,
    content: etree._Element,
    uri: str,
    *,
    deflated: bool,
    holder: x509.Certificate,
    now: datetime,
) -> None:
    """Raises :class:`BadSignature` unless ``encoded`` is the holder's XAdES-BES over ``content``.

    ``uri`` is ``#`` and the Id of Detail. KeyInfo must hold the full chain, leaf first.
    """
    try:
        signature = parse_xml(encoded)
    except ValueError as error:
        raise BadSignature("Xades is not XML") from error
    identifier = signature.get("Id")
    if signature.tag != f"{{{DS}}}Signature" or not identifier:
        raise BadSignature("Xades must be a Signature with an Id")
    _check_chain(signature, holder)
    found = xmldsig.references(signature)
    if len(found) != 2:
        raise BadSignature("Xades must have two references")
    expected = (BASE64, *((OPTIONAL_DEFLATE,) if deflated else ()), xmldsig.EXC_C14N)
    if found[0].uri != uri or found[0].transforms != expected:
        raise BadSignature("the first reference must be Detail, with the transforms of its encoding")
    found[0].check(xmldsig.canonical(content, found[0].prefixes))
    properties = _properties(signature, identifier)
    named = xmldsig.ids(signature).get(found[1].uri[1:])
    if found[1].kind != SIGNED_PROPERTIES or named is not properties:
        raise BadSignature("the second reference must be the signed properties")
    if found[1].transforms != (xmldsig.EXC_C14N,):
        raise BadSignature("the signed properties are canonicalised exclusively")
    found[1].check(xmldsig.canonical(properties, found[1].prefixes))
    xmldsig.check_value(signature, holder)
    _check_properties(properties, holder, now)


def _check_chain(signature: etree._Element, holder: x509.Certificate) -> None:
    path = f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate"
    chain = [xmldsig.certificate_in(element) for element in signature.iterfind(path)]
    if not chain or chain[0] != holder:
        raise BadSignature("Xades is signed by another certificate than the token's")
    try:
        for child, parent in zip(chain, [*chain[1:], chain[-1]], strict=True):
            child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadSignature("Xades must hold the full chain, leaf first") from error


def _properties(signature: etree._Element, identifier: str) -> etree._Element:
    path = f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties"
    found = signature.findall(path)
    if len(found) != 1 or found[0].get("Target") != f"#{identifier}":
        raise BadSignature("the qualifying properties do not belong to the signature")
    properties = found[0].findall(f"{{{XADES}}}SignedProperties")
    if len(properties) != 1:
        raise BadSignature("exactly one SignedProperties is needed")
    return properties[0]


def _check_properties(properties: etree._Element, holder: x509.Certificate, now: datetime) -> None:
    signed = f"{{{XADES}}}SignedSignatureProperties"
    moment = instant(text(properties.find(f"{signed}/{{{XADES}}}SigningTime")))
    if not now - OLDEST <= moment <= now + SKEW:
        raise BadSignature("the signing time is not now")
    cert = f"{signed}/{{{XADES}}}SigningCertificate/{{{XADES}}}Cert"
    digest = text(properties.find(f"{cert}/{{{XADES}}}CertDigest/{{{DS}}}DigestValue"))
    method = properties.find(f"{cert}/{{{XADES}}}CertDigest/{{{DS}}}DigestMethod")
    serial = text(properties.find(f"{cert}/{{{XADES}}}IssuerSerial/{{{DS}}}X509SerialNumber"))
    if method is None or method.get("Algorithm") != xmldsig.SHA256:
        raise BadSignature("the digest of the signing certificate must be SHA-256")
    if digest != _fingerprint(holder) or serial != str(holder.serial_number):
        raise BadSignature("the signing certificate is another one")


def _fingerprint(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.fingerprint(hashes.SHA256())).decode()


def make(
    content: etree._Element, uri: str, signer: Signer, authority: x509.Certificate, now: datetime
) -> bytes:
    """A XAdES-BES by ``signer`` over ``content``, which is not deflated; without time-stamp."""
    identifier = f"xmldsig-{new_id()}"
    properties_id = f"{identifier}-xades-signedprops"
    qualifying = etree.Element(
        f"{{{XADES}}}QualifyingProperties", nsmap={"xades": XADES, "ds": DS}, Target=f"#{identifier}"
    )
    properties = etree.SubElement(qualifying, f"{{{XADES}}}SignedProperties", Id=properties_id)
    signed = etree.SubElement(properties, f"{{{XADES}}}SignedSignatureProperties")
    etree.SubElement(signed, f"{{{XADES}}}SigningTime").text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    cert = etree.SubElement(etree.SubElement(signed, f"{{{XADES}}}SigningCertificate"), f"{{{XADES}}}Cert")
    digest = etree.SubElement(cert, f"{{{XADES}}}CertDigest")
    etree.SubElement(digest, f"{{{DS}}}DigestMethod", Algorithm=xmldsig.SHA256)
    etree.SubElement(digest, f"{{{DS}}}DigestValue").text = _fingerprint(signer.certificate)
    serial = etree.SubElement(cert, f"{{{XADES}}}IssuerSerial")
    etree.SubElement(serial, f"{{{DS}}}X509IssuerName").text = signer.certificate.issuer.rfc4514_string()
    etree.SubElement(serial, f"{{{DS}}}X509SerialNumber").text = str(signer.certificate.serial_number)
    targets = [
        (uri, "", (BASE64, xmldsig.EXC_C14N), xmldsig.canonical(content)),
        (f"#{properties_id}", SIGNED_PROPERTIES, (xmldsig.EXC_C14N,), xmldsig.canonical(properties)),
    ]
    signature = xmldsig.unsigned(targets, signer)
    signature.set("Id", identifier)
    data = signature.find(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data")
    if data is not None:
        etree.SubElement(data, f"{{{DS}}}X509Certificate").text = xmldsig.certificate_text(authority)
    etree.SubElement(signature, f"{{{DS}}}Object").append(qualifying)
    xmldsig.sign(signature, signer)
    return etree.tostring(signature)
