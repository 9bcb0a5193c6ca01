"""Whether captured messages are right, by means that are not ours: libxml2, xmlsec, signxml, hashlib.

Only the contract is shared with the product. Every function raises when it does not agree.
"""

from __future__ import annotations

import base64
import hashlib
import re

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from ehealth import wsdl

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
SAML = "urn:oasis:names:tc:SAML:1.0:assertion"
PROTOCOL = "urn:be:fgov:ehealth:mycarenet:commons:protocol:v2"
SECURITY = f"{{{SOAP}}}Header/{{{WSSE}}}Security"
ENVELOPE = etree.XMLSchema(file=str(wsdl.path("envelope.xsd")))
BUSINESS = etree.XMLSchema(file=str(wsdl.path("registration-business.xsd")))
NO = (AssertionError, etree.DocumentInvalid, etree.XMLSyntaxError, xmlsec.Error, SignXMLException)
"""How a judge says no."""
ASSERTION = re.compile(rb"<(\w+:)?Assertion\b.*?</(\w+:)?Assertion>", re.DOTALL)


def verified(root: etree._Element, signature: etree._Element, certificate: x509.Certificate) -> None:
    """xmlsec accepts a signature in its document, with that key and no other."""
    xmlsec.tree.add_ids(root, ["Id", "AssertionID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(
        certificate.public_bytes(Encoding.PEM), xmlsec.constants.KeyDataFormatCertPem
    )
    context.verify(signature)


def holder(assertion: etree._Element) -> x509.Certificate:
    text = assertion.findtext(f".//{{{SAML}}}SubjectConfirmation//{{{DS}}}X509Certificate")
    return x509.load_der_x509_certificate(base64.b64decode(text or ""))


class Judge:
    """Of one doctor's messages: the certificate that must have signed them, and that of the token service."""

    def __init__(self, certificate: x509.Certificate, sts: x509.Certificate) -> None:
        self.certificate = certificate
        self.sts = sts

    def request(self, octets: bytes, *, signed: bool = True) -> None:
        """Valid against the contract, signed where it must be, token and content as they must be."""
        root = etree.fromstring(octets)
        ENVELOPE.assertValid(root)
        if not signed:
            assert root.find(SECURITY) is None
            return
        parts = ["Timestamp", "Body"]
        if root.find(f"{SECURITY}/{{{WSSE}}}BinarySecurityToken") is not None:
            parts.append("BinarySecurityToken")
        else:
            assert len(root.findall(f"{SECURITY}/{{{SAML}}}Assertion")) == 1
        self.security(octets, root, parts)
        for found in ASSERTION.finditer(octets):
            self.assertion(found[0])
        if root.find(f".//{{{PROTOCOL}}}Xades") is not None:
            self.content(root)

    def security(self, octets: bytes, root: etree._Element, parts: list[str]) -> None:
        """Two verifiers accept the signature of the message over exactly these parts."""
        signature = root.find(f"{SECURITY}/{{{DS}}}Signature")
        assert signature is not None
        verified(root, signature, self.certificate)
        config = SignatureConfiguration(location=f"./{SECURITY}/", expect_references=len(parts))
        results = XMLVerifier().verify(
            octets, x509_cert=self.certificate, expect_config=config, id_attribute="Id", validate_schema=False
        )
        assert [etree.QName(found.signed_xml).localname for found in results] == parts

    def assertion(self, octets: bytes) -> None:
        """Signed by the token service as it stands, by two verifiers, and bound to the doctor's key."""
        root = etree.fromstring(octets)
        verified(root, root[-1], self.sts)
        config = SignatureConfiguration(location="./", expect_references=1)
        XMLVerifier().verify(
            octets,
            x509_cert=self.sts,
            expect_config=config,
            id_attribute="AssertionID",
            validate_schema=False,
        )
        assert holder(root) == self.certificate

    def content(self, root: etree._Element) -> None:
        """The registration inside is valid and carries the doctor's signature (XAdES) over itself."""
        detail = root.findtext(f".//{{{PROTOCOL}}}Detail") or ""
        BUSINESS.assertValid(etree.fromstring(base64.b64decode(detail)))
        xades = base64.b64decode(root.findtext(f".//{{{PROTOCOL}}}Xades") or "")
        # The signature refers to the Detail of the message around it: put side by side, xmlsec walks there.
        document = etree.fromstring(f'<all><Detail Id="blob">{detail}</Detail></all>')
        document.append(etree.fromstring(xades))
        verified(document, document[1], self.certificate)
        references = [found.get("URI", "") for found in document[1].iter(f"{{{DS}}}Reference")]
        properties = document[1].find(f".//{{{XADES}}}SignedProperties")
        assert properties is not None
        assert sorted(references) == sorted(["#blob", f"#{properties.get('Id')}"])
        digest = properties.findtext(f".//{{{XADES}}}CertDigest/{{{DS}}}DigestValue")
        der = self.certificate.public_bytes(Encoding.DER)
        assert base64.b64decode(digest or "") == hashlib.sha256(der).digest()

    def response(self, octets: bytes) -> None:
        """Valid against the contract, no fault; a token in it is right; a verdict in it is valid."""
        root = etree.fromstring(octets)
        ENVELOPE.assertValid(root)
        assert root.find(f".//{{{SOAP}}}Fault") is None
        for found in ASSERTION.finditer(octets):
            self.assertion(found[0])
        detail = root.findtext(f".//{{{PROTOCOL}}}Detail")
        if detail:
            BUSINESS.assertValid(etree.fromstring(base64.b64decode(detail)))
