"""XML signatures with the few algorithms the platform allows: checking the caller's, making our own."""

import base64
import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from ehealth.simulator.pki import Signer
from ehealth.simulator.soap import DS, text

EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
DIGESTS = {
    SHA256: "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
SIGNATURES: dict[str, tuple[str, type[hashes.HashAlgorithm]]] = {
    RSA_SHA256: ("rsa", hashes.SHA256),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": ("rsa", hashes.SHA384),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": ("rsa", hashes.SHA512),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": ("ec", hashes.SHA256),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": ("ec", hashes.SHA384),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": ("ec", hashes.SHA512),
}
ID_NAMES = {"Id", "ID", "id", "AssertionID"}
MAX_REFERENCES = 5


class BadSignature(Exception):
    """The signature is missing something, uses what is not allowed, or does not hold."""


@dataclass(frozen=True)
class Reference:
    """One ds:Reference: what it points at, how that is turned into bytes, what must come out."""

    uri: str
    kind: str
    transforms: tuple[str, ...]
    prefixes: tuple[str, ...]
    method: str
    value: str

    def check(self, data: bytes) -> None:
        """Raises :class:`BadSignature` unless ``data`` has the digest."""
        if self.method not in DIGESTS:
            raise BadSignature(f"digest method {self.method} is not allowed")
        digest = hashlib.new(DIGESTS[self.method], data).digest()
        if base64.b64encode(digest).decode() != "".join(self.value.split()):
            raise BadSignature(f"the digest of {self.uri} does not match")


def canonical(element: etree._Element, prefixes: tuple[str, ...] = ()) -> bytes:
    """Exclusive canonical form, without comments."""
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes)
    )


def ids(root: etree._Element) -> dict[str, etree._Element]:
    """Every identified element of the document; raises :class:`BadSignature` when two share an identifier."""
    found: dict[str, etree._Element] = {}
    for element in root.iter(etree.Element):
        for name, value in element.attrib.items():
            if etree.QName(name).localname not in ID_NAMES:
                continue
            if value in found:
                raise BadSignature(f"the identifier {value} is used twice")
            found[str(value)] = element
    return found


def references(signature: etree._Element) -> list[Reference]:
    """The references of SignedInfo, in order."""
    elements = signature.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    if not 1 <= len(elements) <= MAX_REFERENCES:
        raise BadSignature("too few or too many references")
    return [_reference(element) for element in elements]


def _reference(element: etree._Element) -> Reference:
    transforms = element.findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
    method = element.find(f"{{{DS}}}DigestMethod")
    if method is None:
        raise BadSignature("a reference has no digest method")
    return Reference(
        uri=element.get("URI", ""),
        kind=element.get("Type", ""),
        transforms=tuple(transform.get("Algorithm", "") for transform in transforms),
        prefixes=_prefixes(transforms[-1]) if transforms else (),
        method=method.get("Algorithm", ""),
        value=text(element.find(f"{{{DS}}}DigestValue")),
    )


def _prefixes(element: etree._Element) -> tuple[str, ...]:
    inclusive = element.find(f"{{{EXC_C14N}}}InclusiveNamespaces")
    return () if inclusive is None else tuple(inclusive.get("PrefixList", "").split())


def check_value(signature: etree._Element, certificate: x509.Certificate) -> None:
    """Raises :class:`BadSignature` unless SignedInfo is signed by the certificate's key."""
    info = signature.find(f"{{{DS}}}SignedInfo")
    if info is None:
        raise BadSignature("there is no SignedInfo")
    c14n, method = info.find(f"{{{DS}}}CanonicalizationMethod"), info.find(f"{{{DS}}}SignatureMethod")
    if c14n is None or method is None or c14n.get("Algorithm") != EXC_C14N:
        raise BadSignature("the canonicalisation method is not allowed")
    family, digest = SIGNATURES.get(method.get("Algorithm", ""), ("", hashes.SHA256))
    value = _decode(text(signature.find(f"{{{DS}}}SignatureValue")))
    _verify(certificate, family, digest(), value, canonical(info, _prefixes(c14n)))


def _decode(value: str) -> bytes:
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except ValueError as error:
        raise BadSignature("the signature value is not base64") from error


def _verify(
    certificate: x509.Certificate, family: str, digest: hashes.HashAlgorithm, value: bytes, data: bytes
) -> None:
    key = certificate.public_key()
    try:
        if family == "rsa" and isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
            key.verify(value, data, padding.PKCS1v15(), digest)
        elif family == "ec" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_der_signature(value, key), data, ec.ECDSA(digest))
        else:
            raise BadSignature("the signature method is not allowed or does not fit the key")
    except InvalidSignature as error:
        raise BadSignature("the signature value does not match") from error


def _der_signature(value: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    size = (key.curve.key_size + 7) // 8
    if len(value) != 2 * size:
        raise BadSignature("an ECDSA value is r and s, each as long as the order of the curve")
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))


def certificate_in(element: etree._Element | None) -> x509.Certificate:
    """The certificate whose base64 stands in ``element``; raises :class:`BadSignature` otherwise."""
    try:
        return x509.load_der_x509_certificate(base64.b64decode("".join(text(element).split()), validate=True))
    except ValueError as error:
        raise BadSignature("there is no certificate where one is needed") from error


def certificate_text(certificate: x509.Certificate) -> str:
    """The base64 of the certificate, as it stands in X509Certificate."""
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


def digest_of(data: bytes) -> str:
    """The base64 of the SHA-256."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def unsigned(targets: list[tuple[str, str, tuple[str, ...], bytes]], signer: Signer) -> etree._Element:
    """A ds:Signature without value: references (URI, type, transforms, octets), signer's certificate."""
    signature = etree.Element(f"{{{DS}}}Signature", nsmap={"ds": DS})
    info = etree.SubElement(signature, f"{{{DS}}}SignedInfo")
    etree.SubElement(info, f"{{{DS}}}CanonicalizationMethod", Algorithm=EXC_C14N)
    etree.SubElement(info, f"{{{DS}}}SignatureMethod", Algorithm=RSA_SHA256)
    for uri, kind, transforms, data in targets:
        reference = etree.SubElement(
            info, f"{{{DS}}}Reference", {"URI": uri, **({"Type": kind} if kind else {})}
        )
        chain = etree.SubElement(reference, f"{{{DS}}}Transforms")
        for transform in transforms:
            etree.SubElement(chain, f"{{{DS}}}Transform", Algorithm=transform)
        etree.SubElement(reference, f"{{{DS}}}DigestMethod", Algorithm=SHA256)
        etree.SubElement(reference, f"{{{DS}}}DigestValue").text = digest_of(data)
    etree.SubElement(signature, f"{{{DS}}}SignatureValue")
    data_element = etree.SubElement(etree.SubElement(signature, f"{{{DS}}}KeyInfo"), f"{{{DS}}}X509Data")
    etree.SubElement(data_element, f"{{{DS}}}X509Certificate").text = certificate_text(signer.certificate)
    return signature


def sign(signature: etree._Element, signer: Signer) -> None:
    """Fills in SignatureValue (RSA-SHA256)."""
    if not isinstance(signer.key, rsa.RSAPrivateKey):
        raise TypeError("the platform signs with RSA")
    info, value = signature.find(f"{{{DS}}}SignedInfo"), signature.find(f"{{{DS}}}SignatureValue")
    if info is None or value is None:
        raise ValueError("not a signature to fill in")
    raw = signer.key.sign(canonical(info), padding.PKCS1v15(), hashes.SHA256())
    value.text = base64.b64encode(raw).decode()
