"""The XAdES-BES signature with which a doctor signs the content of a MyCareNet request."""

import hashlib
import uuid
from datetime import datetime
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ehealth.client import names
from ehealth.client.platform import Identity
from ehealth.client.signatures import Reference, b64, signed_parts
from ehealth.client.xml import canonical, parse, stamp


def sign_detail(content: bytes, identity: Identity, now: datetime, *, blob_id: str = "blob") -> bytes:
    """A detached ds:Signature, serialised, over XML content sent as base64 without compression.

    `content` is the exclusive canonical form of the business document: it is what the transforms base64 and
    exclusive canonicalisation give back at the receiver.
    """
    identifier = f"xmldsig-{uuid.uuid4()}"
    properties = _signed_properties(f"{identifier}-xades-signedprops", identity.certificate, now)
    references = [
        Reference(f"#{blob_id}", content, (names.FROM_BASE64, names.EXCLUSIVE)),
        Reference(
            f"#{identifier}-xades-signedprops", canonical(parse(properties.encode())),
            kind="http://uri.etsi.org/01903#SignedProperties",
        ),
    ]  # fmt: skip
    certificates = "".join(
        f"<ds:X509Certificate>{b64(link.public_bytes(Encoding.DER))}</ds:X509Certificate>"
        for link in identity.chain
    )
    return (
        f'<ds:Signature xmlns:ds="{names.DS}" Id="{identifier}">'
        f"{signed_parts(identity.private_key, references)}"
        f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo><ds:Object>"
        f'<xades:QualifyingProperties xmlns:xades="{names.XADES}" Target="#{identifier}">{properties}'
        "</xades:QualifyingProperties></ds:Object></ds:Signature>"
    ).encode()


def _signed_properties(identifier: str, certificate: x509.Certificate, now: datetime) -> str:
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return (
        f'<xades:SignedProperties xmlns:xades="{names.XADES}" xmlns:ds="{names.DS}" Id="{identifier}">'
        f"<xades:SignedSignatureProperties><xades:SigningTime>{stamp(now)}</xades:SigningTime>"
        f"<xades:SigningCertificate><xades:Cert><xades:CertDigest>"
        f'<ds:DigestMethod Algorithm="{names.SHA256}"/>'
        f"<ds:DigestValue>{b64(digest)}</ds:DigestValue></xades:CertDigest><xades:IssuerSerial>"
        f"<ds:X509IssuerName>{escape(certificate.issuer.rfc4514_string())}</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber></xades:IssuerSerial></xades:Cert>"
        "</xades:SigningCertificate></xades:SignedSignatureProperties></xades:SignedProperties>"
    )
