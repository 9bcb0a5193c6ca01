"""XML signatures by hand: written in canonical form as text, verified with pinned algorithms and given keys
only.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ehealth.client import names
from ehealth.client.errors import NotAuthentic
from ehealth.client.platform import PrivateKey
from ehealth.client.xml import Element, canonical

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
}  # fmt: skip
_DIGESTS = {
    names.SHA256: "sha256",
    f"{_MORE}sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_DS = f"{{{names.DS}}}"


@dataclass(frozen=True)
class Reference:
    """What a signature covers: an address in the message, the octets it stands for, how they were reached."""

    uri: str
    octets: bytes
    transforms: tuple[str, ...] = (names.EXCLUSIVE,)
    kind: str = ""

    def as_text(self) -> str:
        """The ds:Reference, canonical within a ds:SignedInfo."""
        kind = f' Type="{self.kind}"' if self.kind else ""
        steps = "".join(f'<ds:Transform Algorithm="{name}"></ds:Transform>' for name in self.transforms)
        return (
            f'<ds:Reference{kind} URI="{self.uri}"><ds:Transforms>{steps}</ds:Transforms>'
            f'<ds:DigestMethod Algorithm="{names.SHA256}"></ds:DigestMethod>'
            f"<ds:DigestValue>{b64(hashlib.sha256(self.octets).digest())}</ds:DigestValue></ds:Reference>"
        )


def b64(octets: bytes) -> str:
    """Base64 on one line."""
    return b64encode(octets).decode("ascii")


def signed_parts(key: PrivateKey, references: Iterable[Reference]) -> str:
    """ds:SignedInfo and ds:SignatureValue as text, to stand unchanged inside a ds:Signature."""
    method = names.RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else names.ECDSA_SHA256
    info = (
        f'<ds:SignedInfo xmlns:ds="{names.DS}">'
        f'<ds:CanonicalizationMethod Algorithm="{names.EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
        f"{''.join(reference.as_text() for reference in references)}</ds:SignedInfo>"
    )
    return f"{info}<ds:SignatureValue>{b64(_sign(key, info.encode()))}</ds:SignatureValue>"


def _sign(key: PrivateKey, octets: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256())))
    size = _half(key.curve)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _half(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def verify_enveloped(root: Element, identifier: str, trusted: Iterable[x509.Certificate]) -> None:
    """NotAuthentic unless the last child of the root is its one signature, over the whole root, by a trusted
    key.

    The caller has made sure that identifiers are unique; what it reads afterwards must be this very root.
    """
    signatures = list(root.iter(f"{_DS}Signature"))
    if len(signatures) != 1 or len(root) == 0 or root[-1] is not signatures[0]:
        raise NotAuthentic("not exactly one signature in its place")
    (signature,) = signatures
    info, value = _parts(signature)
    reference = _only_reference(info)
    _check_key(info, value, trusted)
    prefixes = _check_transforms(reference)
    if reference.get("URI") != f"#{identifier}":
        raise NotAuthentic("the signature covers something else")
    _check_digest(reference, canonical(_without_last_child(root), prefixes))


def _parts(signature: Element) -> tuple[Element, bytes]:
    tags = [child.tag for child in signature]
    if tags[:2] != [f"{_DS}SignedInfo", f"{_DS}SignatureValue"] or tags[2:] not in ([], [f"{_DS}KeyInfo"]):
        raise NotAuthentic("shape of the signature")
    return signature[0], _decoded(signature[1])


def _only_reference(info: Element) -> Element:
    wanted = [f"{_DS}CanonicalizationMethod", f"{_DS}SignatureMethod", f"{_DS}Reference"]
    if [child.tag for child in info] != wanted:
        raise NotAuthentic("not exactly one reference")
    reference = info[2]
    if [child.tag for child in reference] != [f"{_DS}Transforms", f"{_DS}DigestMethod", f"{_DS}DigestValue"]:
        raise NotAuthentic("shape of the reference")
    return reference


def _check_key(info: Element, value: bytes, trusted: Iterable[x509.Certificate]) -> None:
    octets = canonical(info, _inclusive(info[0]))
    method = info[1].get("Algorithm", "")
    if len(info[1]) or not any(_signed_by(certificate, method, value, octets) for certificate in trusted):
        raise NotAuthentic("not signed by a trusted key")


def _signed_by(certificate: x509.Certificate, method: str, value: bytes, octets: bytes) -> bool:
    family, _, name = method.removeprefix(_MORE).partition("-")
    digest = _HASHES.get(name)
    if digest is None or not method.startswith(_MORE):
        return False
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and family == "rsa":
            key.verify(value, octets, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and family == "ecdsa":
            key.verify(_der(value, _half(key.curve)), octets, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _der(value: bytes, size: int) -> bytes:
    if len(value) != 2 * size:
        raise ValueError("length of the signature")
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))


def _check_transforms(reference: Element) -> list[str]:
    steps = list(reference[0])
    if [step.tag for step in steps] != [f"{_DS}Transform"] * 2:
        raise NotAuthentic("transforms")
    if steps[0].get("Algorithm") != names.ENVELOPED or len(steps[0]):
        raise NotAuthentic("transforms")
    return _inclusive(steps[1])


def _inclusive(method: Element) -> list[str]:
    """The prefixes an exclusive canonicalisation treats as inclusive; nothing else may stand in it."""
    if method.get("Algorithm") != names.EXCLUSIVE or len(method) > 1:
        raise NotAuthentic("canonicalisation")
    if len(method) == 0:
        return []
    if method[0].tag != f"{{{names.EC}}}InclusiveNamespaces" or len(method[0]):
        raise NotAuthentic("canonicalisation")
    prefixes: list[str] = method[0].get("PrefixList", "").split()
    return prefixes


def _check_digest(reference: Element, octets: bytes) -> None:
    name = _DIGESTS.get(reference[1].get("Algorithm", ""))
    if name is None or len(reference[1]):
        raise NotAuthentic("digest algorithm")
    if not hmac.compare_digest(_decoded(reference[2]), hashlib.new(name, octets).digest()):
        raise NotAuthentic("digest")


def _decoded(element: Element) -> bytes:
    try:
        return b64decode("".join("".join(element.itertext()).split()), validate=True)
    except ValueError as error:
        raise NotAuthentic("base64") from error


def _without_last_child(root: Element) -> Element:
    """A copy for the digest; the white space behind the removed signature is part of the signed octets."""
    copy = deepcopy(root)
    tail = copy[-1].tail or ""
    del copy[-1]
    if len(copy):
        copy[-1].tail = (copy[-1].tail or "") + tail
    else:
        copy.text = (copy.text or "") + tail
    return copy
