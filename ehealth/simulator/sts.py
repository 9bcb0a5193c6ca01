"""The Security Token Service: issues SAML 1.1 holder-of-key assertions about doctors (WS-Trust 1.3)."""

from collections.abc import Callable
from datetime import datetime, timedelta

from lxml import etree

from ehealth.simulator import wrapping, wsse, xmldsig
from ehealth.simulator.gateway import Call
from ehealth.simulator.pki import OTHER_PERSON
from ehealth.simulator.soap import DS, SAML, WSSE, WST, WSU, Refusal, new_id, text
from ehealth.simulator.store import Person
from ehealth.simulator.wsse import DOCTOR, HOLDER_OF_KEY, ISSUER, NIHII11, PERSON_SSIN, SAML_V11, Caller
from ehealth.simulator.xmldsig import BadSignature

AUTH = "http://docs.oasis-open.org/wsfed/authorization/200706"
DIALECT = f"{AUTH}/authclaims"
ISSUE, RENEW = f"{WST}/Issue", f"{WST}/Renew"
KEY_TYPES = {"http://docs.oasis-open.org/ws-sx/wstrust/200512/PublicKey", f"{WST}/PublicKey"}
IDENTIFICATION = "urn:be:fgov:identification-namespace"
CERTIFIED = "urn:be:fgov:certified-namespace:ehealth"
HOLDER_SSIN = "urn:be:fgov:ehealth:1.0:certificateholder:person:ssin"
SUBJECT_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
X509_PKI = "urn:oasis:names:tc:SAML:1.0:am:X509-PKI"
LIFETIME, EARLY = timedelta(hours=24), timedelta(minutes=5)

SOURCES: dict[str, tuple[str, Callable[[Person], str | None]]] = {
    HOLDER_SSIN: (IDENTIFICATION, lambda p: p.ssin),
    PERSON_SSIN: (IDENTIFICATION, lambda p: p.ssin),
    DOCTOR: (CERTIFIED, lambda p: "true" if p.doctor else "false"),
    NIHII11: (CERTIFIED, lambda p: p.nihii11 if p.doctor else None),
    "urn:be:fgov:person:ssin:ehealth:1.0:fpsph:doctor:boolean": (
        CERTIFIED,
        lambda p: "true" if p.doctor else "false",
    ),
    "urn:be:fgov:person:ssin:ehealth:1.0:givenname": (CERTIFIED, lambda p: p.first_name or None),
    "urn:be:fgov:person:ssin:ehealth:1.0:surname": (CERTIFIED, lambda p: p.last_name or None),
}


def issue(call: Call) -> etree._Element:
    """Answers RequestSecurityToken: the claims that the register certifies, in the order asked."""
    request, caller = call.payload, call.signer
    _check_request(request, caller)
    _check_target(call)
    claims = _claims(request, caller)
    person = call.simulation.store.person(caller.ssin) or Person(caller.ssin, doctor=False)
    if call.fault.kind == "foreign-token":
        person = Person(*OTHER_PERSON, "19999915004")
    attributes = [_certified(uri, person) for uri in claims]
    issued = call.now - (2 * LIFETIME if call.fault.kind == "expired-token" else timedelta(0))
    assertion = _assertion(caller, attributes, issued)
    _sign(assertion, call)
    known = {uri: value for uri, _, value in attributes if value is not None}
    token = str(assertion.get("AssertionID"))
    call.simulation.store.keep_token(token, caller.ssin, known.get(NIHII11), issued, issued + LIFETIME)
    if call.fault.kind == "wrapped-signature":
        assertion = wrapping.wrapped(assertion, call.fault.value)
    return _response(request, assertion)


def _invalid(reason: str) -> Refusal:
    return Refusal("SOA-03007", reason, faultcode="wst:InvalidRequest")


def _check_request(request: etree._Element, caller: Caller) -> None:
    if not request.get("Context"):
        raise _invalid("Context is needed")
    if text(request.find(f"{{{WST}}}TokenType")) != SAML_V11:
        raise _invalid("TokenType must be SAML 1.1")
    if text(request.find(f"{{{WST}}}RequestType")) not in {ISSUE, RENEW}:
        raise _invalid("RequestType must be Issue or Renew")
    if text(request.find(f"{{{WST}}}KeyType")) not in KEY_TYPES:
        raise _invalid("KeyType must be PublicKey")
    _check_lifetime(request)
    path = f"{{{WST}}}UseKey/{{{WSSE}}}SecurityTokenReference/{{{DS}}}X509Data/{{{DS}}}X509Certificate"
    try:
        key = xmldsig.certificate_in(request.find(path))
    except BadSignature as error:
        raise _invalid("UseKey holds no certificate") from error
    if key != caller.certificate:
        raise _invalid("UseKey must be the certificate that signed the request")


def _check_target(call: Call) -> None:
    """A renewal shows the token itself: ours, unaltered, alive, and bound to the key that asks."""
    found = call.payload.findall(f"{{{WST}}}RenewTarget")
    if text(call.payload.find(f"{{{WST}}}RequestType")) == ISSUE:
        if found:
            raise _invalid("RenewTarget belongs to a renewal")
        return
    path = f"{{{WST}}}RenewTarget/{{{WSSE}}}SecurityTokenReference/{{{WSSE}}}Embedded/{{{SAML}}}Assertion"
    tokens = call.payload.findall(path)
    if len(found) != 1 or len(tokens) != 1:
        raise _invalid("RenewTarget must hold one assertion")
    try:
        wsse.check_assertion(tokens[0], call.simulation.pki, call.now)
        if wsse.confirmed(tokens[0]) != call.signer.certificate:
            raise BadSignature("the token is bound to another key")
    except BadSignature as error:
        raise Refusal("SOA-01001", str(error), faultcode="wst:InvalidSecurityToken") from error


def _check_lifetime(request: etree._Element) -> None:
    lifetime = request.find(f"{{{WST}}}Lifetime")
    if lifetime is None:
        raise _invalid("Lifetime is needed")
    try:
        created, expires = (
            datetime.fromisoformat(text(lifetime.find(f"{{{WSU}}}{name}"))) for name in ("Created", "Expires")
        )
        too_long = not timedelta(0) < expires - created <= LIFETIME
    except (TypeError, ValueError) as error:
        raise _invalid("Lifetime is not made of two instants") from error
    if too_long:
        raise _invalid("Lifetime may not pass 24 hours")


def _claims(request: etree._Element, caller: Caller) -> list[str]:
    claims = request.find(f"{{{WST}}}Claims")
    if claims is None or claims.get("Dialect") != DIALECT or not len(claims):
        raise _invalid("Claims of the authorization dialect are needed")
    asserted = {}
    for claim in claims.iterfind(f"{{{AUTH}}}ClaimType"):
        asserted[claim.get("Uri", "")] = claim.find(f"{{{AUTH}}}Value")
    for uri in (HOLDER_SSIN, PERSON_SSIN):
        if asserted.get(uri) is None:
            raise _invalid(f"{uri} must be asserted")
        if text(asserted[uri]) != caller.ssin:
            raise Refusal(
                "SOA-01001",
                "the number asserted is not that of the certificate",
                faultcode="wst:FailedAuthentication",
            )
    return list(asserted)


def _certified(uri: str, person: Person) -> tuple[str, str, str | None]:
    namespace, source = SOURCES.get(uri, (CERTIFIED, lambda _: None))
    return uri, namespace, source(person)


def _moment(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def _saml(parent: etree._Element, name: str, content: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{SAML}}}{name}", attributes)
    element.text = content
    return element


def _subject(parent: etree._Element, caller: Caller) -> etree._Element:
    subject = _saml(parent, "Subject")
    _saml(
        subject,
        "NameIdentifier",
        caller.certificate.subject.rfc4514_string(),
        Format=SUBJECT_FORMAT,
        NameQualifier=caller.certificate.issuer.rfc4514_string(),
    )
    return subject


def _assertion(
    caller: Caller, attributes: list[tuple[str, str, str | None]], issued: datetime
) -> etree._Element:
    assertion = etree.Element(f"{{{SAML}}}Assertion", nsmap={"saml": SAML})
    for name, number in (("MajorVersion", "1"), ("MinorVersion", "1"), ("AssertionID", new_id())):
        assertion.set(name, number)
    assertion.set("Issuer", ISSUER)
    assertion.set("IssueInstant", _moment(issued))
    _saml(assertion, "Conditions", NotBefore=_moment(issued - EARLY), NotOnOrAfter=_moment(issued + LIFETIME))
    statement = _saml(
        assertion,
        "AuthenticationStatement",
        AuthenticationInstant=_moment(issued),
        AuthenticationMethod=X509_PKI,
    )
    confirmation = _saml(_subject(statement, caller), "SubjectConfirmation")
    _saml(confirmation, "ConfirmationMethod", HOLDER_OF_KEY)
    info = etree.SubElement(confirmation, f"{{{DS}}}KeyInfo", nsmap={"ds": DS})
    data = etree.SubElement(info, f"{{{DS}}}X509Data")
    etree.SubElement(data, f"{{{DS}}}X509Certificate").text = xmldsig.certificate_text(caller.certificate)
    statement = _saml(assertion, "AttributeStatement")
    _subject(statement, caller)
    for uri, namespace, value in attributes:
        if value is not None:
            attribute = _saml(statement, "Attribute", AttributeName=uri, AttributeNamespace=namespace)
            _saml(attribute, "AttributeValue", value)
    return assertion


def _sign(assertion: etree._Element, call: Call) -> None:
    signer = call.simulation.pki.sts
    transforms = (xmldsig.ENVELOPED, xmldsig.EXC_C14N)
    uri = f"#{assertion.get('AssertionID')}"
    signature = xmldsig.unsigned([(uri, "", transforms, xmldsig.canonical(assertion))], signer)
    assertion.append(signature)
    xmldsig.sign(signature, signer)
    if call.fault.kind == "wrong-signature":
        value = signature.find(f"{{{DS}}}SignatureValue")
        if value is not None and value.text:
            value.text = ("B" if value.text[0] == "A" else "A") + value.text[1:]


def _response(request: etree._Element, assertion: etree._Element) -> etree._Element:
    response = etree.Element(f"{{{WST}}}RequestSecurityTokenResponse", nsmap={"wst": WST})
    response.set("Context", str(request.get("Context")))
    etree.SubElement(response, f"{{{WST}}}TokenType").text = SAML_V11
    etree.SubElement(response, f"{{{WST}}}RequestedSecurityToken").append(assertion)
    return response
