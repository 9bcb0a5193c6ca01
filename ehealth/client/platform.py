"""What a call needs to know: where the platform is and whom it trusts, who speaks, with which token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Environment = Literal["simulation", "acceptance", "production"]
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
SERVICES = ("sts", "etk", "mailbox", "publication", "registration")


def certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, in its order; ValueError when there is none."""
    return tuple(x509.load_pem_x509_certificates(pem))


@dataclass(frozen=True)
class Licence:
    """The package of the software vendor, given by the national intermutualist college."""

    name: str
    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True)
class Platform:
    """One environment of the platform; times in seconds, sizes in bytes.

    `endpoints` maps each name of SERVICES to its addresses, first choice first. `issuers` are the authorities
    of doctors' certificates, `sts_certificates` the keys that sign tokens, `tls_ca` the one authority of the
    servers' own certificates (None: those of the machine). `max_content` bounds an answer that holds a whole
    message. `capture` is a folder that gets every message sent and received, in the simulation only.
    ValueError for an address that is not https, simulation apart.
    """

    environment: Environment
    endpoints: Mapping[str, tuple[str, ...]]
    issuers: tuple[x509.Certificate, ...]
    sts_certificates: tuple[x509.Certificate, ...]
    licence: Licence
    is_test: bool
    user_agent: str
    tls_ca: Path | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    call_timeout: float = 30.0
    max_response: int = 1024 * 1024
    max_content: int = 12 * 1024 * 1024
    connections: int = 10
    capture: Path | None = None

    def __post_init__(self) -> None:
        for service in SERVICES:
            if not self.endpoints.get(service):
                raise ValueError(f"no address for the service {service}")
        for address in (address for addresses in self.endpoints.values() for address in addresses):
            self._check(address)
        if self.is_test == (self.environment == "production"):
            raise ValueError("is_test contradicts the environment")
        if self.capture is not None and self.environment != "simulation":
            raise ValueError("messages are captured in the simulation only")

    def _check(self, address: str) -> None:
        parts = urlsplit(address)
        schemes = {"https", "http"} if self.environment == "simulation" else {"https"}
        if (
            parts.scheme not in schemes
            or not parts.hostname
            or parts.username
            or parts.query
            or parts.fragment
        ):
            raise ValueError(f"not an address of the platform: {parts.scheme}://{parts.hostname}")


@dataclass(frozen=True)
class Identity:
    """Who speaks: 11-digit SSIN, authentication key, certificates leaf first."""

    ssin: str = field(repr=False)
    private_key: PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The authentication certificate, which is also the holder-of-key."""
        return self.chain[0]


@dataclass(frozen=True)
class Assertion:
    """A token of the STS. `xml` is handed on byte for byte; `attributes` maps a URN to its value, several
    joined by `;`.
    """

    xml: bytes = field(repr=False)
    assertion_id: str
    not_before: datetime
    not_on_or_after: datetime
    attributes: Mapping[str, str] = field(repr=False)
    certificate: x509.Certificate = field(repr=False)

    @property
    def nihii(self) -> str | None:
        """The 11-digit NIHII number the platform certifies, None when it knows the holder as no physician."""
        return self.attributes.get("urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11") or None
