"""Messages made by hand and signed by xmlsec, which shares no code with the simulator or the client."""

import base64
import http.client
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs12
from lxml import etree

from ehealth import wsdl
from tests.platform import LICENCE, PASSWORD, Simulator

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
WSSE, WSU = f"{OASIS}-wssecurity-secext-1.0.xsd", f"{OASIS}-wssecurity-utility-1.0.xsd"
WSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
DS, XADES = "http://www.w3.org/2000/09/xmldsig#", "http://uri.etsi.org/01903/v1.3.2#"
SAML = "urn:oasis:names:tc:SAML:1.0:assertion"
WST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
AUTH = "http://docs.oasis-open.org/wsfed/authorization/200706"
BOX = "urn:be:fgov:ehealth:ehbox:consultation:protocol:v3"
REG = "urn:be:fgov:ehealth:mycarenet:registration:protocol:v1"
ETK = "urn:be:fgov:ehealth:etkdepot:1_0:protocol"
P, C = "urn:be:fgov:ehealth:mycarenet:commons:protocol:v2", "urn:be:fgov:ehealth:mycarenet:commons:core:v2"
B, E, T = "urn:be:cin:nip:sync:reg:v1", "urn:be:cin:mycarenet:esb:common:v2", "urn:be:cin:types:v1"
ERR = "urn:be:fgov:ehealth:errors:soa:v1"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
EC_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"

STS_PATH, STS_ACTION = (
    "/IAM/SecurityTokenService/v1",
    "urn:be:fgov:ehealth:sts:protocol:v1:RequestSecurityToken",
)
BOX_PATH, BOX_INFO, BOX_LIST = "/ehBoxConsultation/v3", f"{BOX}:getBoxInfo", f"{BOX}:getMessagesList"
REG_PATH, REG_ACTION = "/MyCareNet/Registration/v1", f"{REG}:RegisterToMycarenetService"
ETK_PATH = "/EtkDepot/v1"
SCHEMA = etree.XMLSchema(file=str(wsdl.path("envelope.xsd")))

DOCTOR_CLAIMS = (
    "urn:be:fgov:person:ssin:doctor:boolean",
    "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11",
    "urn:be:fgov:person:ssin:ehealth:1.0:fpsph:doctor:boolean",
    "urn:be:fgov:person:ssin:ehealth:1.0:givenname",
    "urn:be:fgov:person:ssin:ehealth:1.0:surname",
)


@dataclass(frozen=True)
class Doctor:
    """Somebody who can sign."""

    ssin: str
    nihii: str
    key: object
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]

    @property
    def pem(self) -> bytes:
        """The private key, for xmlsec."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def method(self) -> str:
        """The signature method that fits the key."""
        return EC_SHA256 if isinstance(self.key, ec.EllipticCurvePrivateKey) else RSA_SHA256


def doctor(simulator: Simulator, ssin: str, nihii: str | None, kind: str = "rsa", **facts: object) -> Doctor:
    """A person in the register, with the authentication entry of a keystore of that kind."""
    simulator.add_person(ssin, first_name="Élise", last_name="Test", nihii11=nihii, **facts)
    opened = pkcs12.load_pkcs12(simulator.keystore(ssin, kind), PASSWORD.encode())
    others = [entry.certificate for entry in opened.additional_certs]
    authorities = tuple(c for c in others if c.subject != opened.cert.certificate.subject)
    return Doctor(
        ssin, nihii or "", opened.key, opened.cert.certificate, (opened.cert.certificate, *authorities)
    )


def b64(certificate: x509.Certificate) -> str:
    """Base64 of the DER."""
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


def new_id() -> str:
    """An identifier."""
    return f"id-{uuid.uuid4()}"


def stamp(moment: datetime) -> str:
    """UTC with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _reference(
    uri: str, transforms: tuple[str, ...] = (EXC_C14N,), digest: str = SHA256, kind: str = ""
) -> str:
    chain = "".join(f'<ds:Transform Algorithm="{transform}"/>' for transform in transforms)
    attribute = f' Type="{kind}"' if kind else ""
    return (
        f'<ds:Reference URI="{uri}"{attribute}><ds:Transforms>{chain}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference>'
    )


def signature(references: str, method: str, key_info: str, extra: str = "", identifier: str = "") -> str:
    """A template for xmlsec to fill in."""
    attribute = f' Id="{identifier}"' if identifier else ""
    return (
        f'<ds:Signature xmlns:ds="{DS}"{attribute}><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{EXC_C14N}"/><ds:SignatureMethod Algorithm="{method}"/>'
        f"{references}</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo>{key_info}</ds:KeyInfo>{extra}</ds:Signature>"
    )


def fill_in(root: etree._Element, template: etree._Element, who: Doctor) -> None:
    """Lets xmlsec compute digests and value."""
    xmlsec.tree.add_ids(root, ["Id"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(who.pem, xmlsec.constants.KeyDataFormatPem)
    context.sign(template)


def message(
    payload: str,
    who: Doctor,
    assertion: str | None = None,
    *,
    created: datetime | None = None,
    lifetime: int = 60,
    signed: tuple[str, ...] = ("timestamp", "body", "token"),
    digest: str = SHA256,
    transforms: tuple[str, ...] = (EXC_C14N,),
    certificate: x509.Certificate | None = None,
) -> etree._Element:
    """A signed envelope: profile X.509, or holder-of-key when there is an assertion."""
    created = created or datetime.now(UTC)
    ids = {name: new_id() for name in ("timestamp", "body", "token", "extra")}
    if assertion is None:
        token = (
            f'<wsse:BinarySecurityToken wsu:Id="{ids["token"]}" '
            f'ValueType="{OASIS}-x509-token-profile-1.0#X509v3" '
            f'EncodingType="{OASIS}-soap-message-security-1.0#Base64Binary">'
            f"{b64(certificate or who.certificate)}</wsse:BinarySecurityToken>"
        )
        key = (
            f'<wsse:SecurityTokenReference><wsse:Reference URI="#{ids["token"]}" '
            f'ValueType="{OASIS}-x509-token-profile-1.0#X509v3"/></wsse:SecurityTokenReference>'
        )
    else:
        token = assertion
        identifier = re.search(r'AssertionID="([^"]+)"', assertion).group(1)
        profile = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile"
        key = (
            f'<wsse:SecurityTokenReference xmlns:wsse11="{WSSE11}" wsse11:TokenType="{profile}-1.1#SAMLV1.1">'
            f'<wsse:KeyIdentifier ValueType="{profile}-1.0#SAMLAssertionID">{identifier}</wsse:KeyIdentifier>'
            "</wsse:SecurityTokenReference>"
        )
        signed = tuple(name for name in signed if name != "token")
    references = "".join(_reference(f"#{ids[name]}", transforms, digest) for name in signed)
    template = signature(references, who.method, key) if signed else ""
    root = etree.fromstring(
        f'<soap:Envelope xmlns:soap="{SOAP}"><soap:Header>'
        f'<wsse:Security xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" '
        f'soap:mustUnderstand="1"><wsu:Timestamp wsu:Id="{ids["timestamp"]}"><wsu:Created>{stamp(created)}'
        f"</wsu:Created><wsu:Expires>{stamp(created + timedelta(seconds=lifetime))}</wsu:Expires>"
        "</wsu:Timestamp>"
        f"{token}{template}</wsse:Security>"
        f'<extra xmlns:wsu="{WSU}" wsu:Id="{ids["extra"]}"/></soap:Header>'
        f'<soap:Body xmlns:wsu="{WSU}" wsu:Id="{ids["body"]}">'
        f"{payload}</soap:Body></soap:Envelope>"
    )
    if signed:
        fill_in(root, root.find(f".//{{{WSSE}}}Security/{{{DS}}}Signature"), who)
    return root


def token_request(
    who: Doctor,
    claims: tuple[str, ...] = DOCTOR_CLAIMS,
    *,
    asserted: str = "",
    key: x509.Certificate | None = None,
) -> str:
    """RequestSecurityToken with the two asserted numbers and the claims asked."""
    number = asserted or who.ssin
    now = datetime.now(UTC)
    known = "".join(
        f'<auth:ClaimType Uri="{uri}"><auth:Value>{number}</auth:Value></auth:ClaimType>'
        for uri in ("urn:be:fgov:ehealth:1.0:certificateholder:person:ssin", "urn:be:fgov:person:ssin")
    )
    asked = "".join(f'<auth:ClaimType Uri="{uri}"/>' for uri in claims)
    return (
        f'<wst:RequestSecurityToken xmlns:wst="{WST}" xmlns:auth="{AUTH}" xmlns:wsu="{WSU}" '
        f'xmlns:wsse="{WSSE}" xmlns:ds="{DS}" Context="urn:uuid:{uuid.uuid4()}">'
        "<wst:TokenType>http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1</wst:TokenType>"
        f"<wst:RequestType>{WST}/Issue</wst:RequestType>"
        f'<wst:Claims Dialect="{AUTH}/authclaims">{known}{asked}</wst:Claims>'
        f"<wst:Lifetime><wsu:Created>{stamp(now)}</wsu:Created>"
        f"<wsu:Expires>{stamp(now + timedelta(hours=24))}</wsu:Expires></wst:Lifetime>"
        "<wst:KeyType>http://docs.oasis-open.org/ws-sx/wstrust/200512/PublicKey</wst:KeyType>"
        "<wst:UseKey><wsse:SecurityTokenReference><ds:X509Data><ds:X509Certificate>"
        f"{b64(key or who.certificate)}</ds:X509Certificate></ds:X509Data>"
        "</wsse:SecurityTokenReference></wst:UseKey>"
        "</wst:RequestSecurityToken>"
    )


def business(nihii: str, iban: str | None, bic: str | None = "GEBABEBB", service: str = "GMD") -> str:
    """The registration inside Detail."""
    account = "" if iban is None else f' iban="{iban}"'
    account += "" if bic is None else f' bic="{bic}"'
    return (
        f'<registrations xmlns="{B}" xmlns:c="{E}" StartDateTime="{datetime.now(UTC).date()}">'
        "<registrant><CareProvider>"
        f"<c:Nihii><c:Quality>doctor</c:Quality><c:Value>{nihii}</c:Value></c:Nihii></CareProvider></registrant>"
        f'<registration serviceName="{service}"><bankAccount{account}/></registration></registrations>'
    )


def xades(
    content: bytes, who: Doctor, *, deflated: bool = False, chain: bool = True, age: timedelta = timedelta(0)
) -> bytes:
    """The XAdES-BES over ``content``; the digest of the message's own Detail is put in by hand."""
    identifier = f"xmldsig-{uuid.uuid4()}"
    certificate = who.certificate
    digest = base64.b64encode(certificate.fingerprint(hashes.SHA256())).decode()
    properties = (
        f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#{identifier}">'
        f'<xades:SignedProperties Id="{identifier}-xades-signedprops"><xades:SignedSignatureProperties>'
        f"<xades:SigningTime>{stamp(datetime.now(UTC) - age)}</xades:SigningTime>"
        "<xades:SigningCertificate><xades:Cert>"
        f'<xades:CertDigest><ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{digest}</ds:DigestValue>'
        f"</xades:CertDigest><xades:IssuerSerial><ds:X509IssuerName>{certificate.issuer.rfc4514_string()}"
        f"</ds:X509IssuerName><ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber>"
        "</xades:IssuerSerial></xades:Cert></xades:SigningCertificate></xades:SignedSignatureProperties>"
        "</xades:SignedProperties></xades:QualifyingProperties></ds:Object>"
    )
    certificates = who.chain if chain else who.chain[:1]
    key = "".join(f"<ds:X509Certificate>{b64(each)}</ds:X509Certificate>" for each in certificates)
    own = _reference(f"#{identifier}-xades-signedprops", kind="http://uri.etsi.org/01903#SignedProperties")
    template = signature(own, who.method, f"<ds:X509Data>{key}</ds:X509Data>", properties, identifier)
    root = etree.fromstring(template)
    fill_in(root, root, who)
    return _with_detail(root, content, who, deflated)


def _with_detail(root: etree._Element, content: bytes, who: Doctor, deflated: bool) -> bytes:
    """Adds the reference that only resolves inside the enclosing message, then signs SignedInfo again."""
    canonical = etree.tostring(etree.fromstring(content), method="c14n", exclusive=True)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(canonical)
    deflate = ("urn:nippin:xml:sig:transform:optional-deflate",) if deflated else ()
    reference = etree.fromstring(
        f'<r xmlns:ds="{DS}">{_reference("#blob", (f"{DS}base64", *deflate, EXC_C14N))}</r>'
    )[0]
    reference.find(f"{{{DS}}}DigestValue").text = base64.b64encode(digest.finalize()).decode()
    info = root.find(f"{{{DS}}}SignedInfo")
    info.insert(2, reference)
    signed = etree.tostring(info, method="c14n", exclusive=True)
    if who.method == RSA_SHA256:
        value = who.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(who.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        value = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    root.find(f"{{{DS}}}SignatureValue").text = base64.b64encode(value).decode()
    return etree.tostring(root)


def registration(
    who: Doctor,
    mutuality: str,
    content: str | None = None,
    *,
    reference: str = "",
    licence: tuple[str, str, str] = LICENCE,
    proof: bytes | None = None,
    raw: bytes | None = None,
    encoding: str = "none",
    is_test: str = "true",
    nihii: str = "",
    identifier: str = "",
) -> str:
    """RegisterToMycarenetServiceRequest; ``raw`` is what Detail holds when it is not the content itself."""
    data = (content or business(who.nihii, "BE80001000000177")).encode()
    proof = xades(data, who) if proof is None else proof
    package, username, password = licence
    given = f"<c:InputReference>{reference}</c:InputReference>" if reference else ""
    seal = (
        f'<p:Xades xmlns:xmime="http://www.w3.org/2005/05/xmlmime" xmime:contentType="text/xml">'
        f"{base64.b64encode(proof).decode()}</p:Xades>"
        if proof
        else ""
    )
    return (
        f'<r:RegisterToMycarenetServiceRequest xmlns:r="{REG}" xmlns:p="{P}" xmlns:c="{C}" '
        f'Id="{identifier or new_id()}" IssueInstant="{stamp(datetime.now(UTC))}"><p:CommonInput><c:Request>'
        f"<c:IsTest>{is_test}</c:IsTest></c:Request><c:Origin><c:Package><c:Name>{package}</c:Name><c:License>"
        f"<c:Username>{username}</c:Username><c:Password>{password}</c:Password></c:License></c:Package>"
        f"<c:CareProvider><c:Nihii><c:Quality>doctor</c:Quality><c:Value>{nihii or who.nihii}</c:Value>"
        "</c:Nihii>"
        f"<c:PhysicalPerson><c:Ssin>{who.ssin}</c:Ssin></c:PhysicalPerson></c:CareProvider></c:Origin>{given}"
        f"</p:CommonInput><p:Routing><c:CareReceiver><c:Mutuality>{mutuality}</c:Mutuality></c:CareReceiver>"
        f"<c:ReferenceDate>{datetime.now(UTC).date()}</c:ReferenceDate></p:Routing>"
        f'<p:Detail Id="blob" ContentType="text/xml" ContentEncoding="{encoding}">'
        f"{base64.b64encode(raw or data).decode()}</p:Detail>{seal}</r:RegisterToMycarenetServiceRequest>"
    )


@dataclass(frozen=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def root(self) -> etree._Element:
        """The envelope, which must be valid against the contract."""
        root = etree.fromstring(self.raw)
        SCHEMA.assertValid(root)
        return root

    @property
    def payload(self) -> etree._Element:
        """What the body holds."""
        return self.root.find(f"{{{SOAP}}}Body")[0]

    @property
    def code(self) -> str:
        """The code of the fault; empty when the call succeeded."""
        if self.status == 200:
            return ""
        error = self.root.find(f".//{{{ERR}}}SystemError")
        error = self.root.find(f".//{{{ERR}}}BusinessError") if error is None else error
        assert error.findtext(f"{{{ERR}}}Environment") == "Simulation"
        return error.findtext("Code")


def post(
    simulator: Simulator,
    path: str,
    action: str,
    data: bytes | etree._Element,
    kind: str = "text/xml; charset=UTF-8",
    timeout: float = 30,
) -> Reply:
    """One call on a connection of its own."""
    body = data if isinstance(data, bytes) else etree.tostring(data)
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=timeout)
    try:
        connection.request("POST", path, body, {"Content-Type": kind, "SOAPAction": f'"{action}"'})
        response = connection.getresponse()
        return Reply(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def ask_token(simulator: Simulator, who: Doctor, **how: object) -> Reply:
    """Asks the STS with a well-formed message."""
    return post(simulator, STS_PATH, STS_ACTION, message(token_request(who), who, **how))


def assertion_of(reply: Reply) -> str:
    """The assertion as it came, byte for byte."""
    assert reply.status == 200, reply.raw
    return re.search(rb"<saml:Assertion.*</saml:Assertion>", reply.raw, re.DOTALL).group(0).decode()


def register(simulator: Simulator, who: Doctor, assertion: str, payload: str) -> Reply:
    """Sends a registration."""
    return post(simulator, REG_PATH, REG_ACTION, message(payload, who, assertion))


def details(reply: Reply) -> etree._Element:
    """The business answer inside Detail; must be valid too."""
    assert reply.status == 200, reply.raw
    detail = reply.payload.find(f"{{{P}}}Return/{{{P}}}Detail")
    found = etree.fromstring(base64.b64decode(detail.text))
    SCHEMA.assertValid(found)
    return found


def verdict(reply: Reply) -> tuple[str, list[str]]:
    """Status and codes of a business answer."""
    answer = details(reply).find(f"{{{B}}}registrationAnswer")
    return answer.get("status"), [code.text for code in answer.iter(f"{{{T}}}DetailCode")]
