"""MyCareNet Registration: a doctor declares to one mutuality the account on which eDMG fees are paid."""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from lxml import etree

from ehealth.simulator import xades
from ehealth.simulator.gateway import Call
from ehealth.simulator.soap import Refusal, new_id, parse_xml, schema_problem, text
from ehealth.simulator.store import MUTUALITIES, Acceptance, Person
from ehealth.simulator.wsse import NIHII11
from ehealth.simulator.xmldsig import BadSignature

R = "urn:be:fgov:ehealth:mycarenet:registration:protocol:v1"
P = "urn:be:fgov:ehealth:mycarenet:commons:protocol:v2"
C = "urn:be:fgov:ehealth:mycarenet:commons:core:v2"
B = "urn:be:cin:nip:sync:reg:v1"
E = "urn:be:cin:mycarenet:esb:common:v2"
T = "urn:be:cin:types:v1"
XMIME = "http://www.w3.org/2005/05/xmlmime"
XML = "http://www.w3.org/XML/1998/namespace"
LARGEST_DETAIL = 256 * 1024
ENTITLED = range(1, 9)
"""Competence codes (last three digits of the NIHII) that may register: 001 to 008, general practitioners."""

SERVICE = "/registrations/registration/@serviceName"
ACCOUNT = "/registrations/registration/bankAccount"
NIHII = "/registrations/registrant/CareProvider/Nihii/Value"
WORDS = {
    "100": "Valeur obligatoire absente",
    "111": "Format erroné",
    "130": "Valeur non permise",
    "140": "Prestataire non habilité pour ce type d'inscription à la date du jour",
    "141": "Prestataire inconnu de l'organisme assureur à la date du jour",
    "155": "Valeur différente de celle de l'enveloppe",
    "168": "Prestataire déjà inscrit pour ce service",
}


@dataclass(frozen=True)
class Problem:
    """A business error: its code and where in the request it lies."""

    code: str
    location: str


@dataclass(frozen=True)
class _Request:
    """What was asked, after everything around it was checked."""

    business: etree._Element
    nihii: str
    mutuality: str
    reference: str
    service: str | None
    iban: str | None
    bic: str | None


def mutuality(request: etree._Element) -> str:
    """The mutuality that the message is routed to."""
    return text(request.find(f"{{{P}}}Routing/{{{C}}}CareReceiver/{{{C}}}Mutuality"))


def register(call: Call) -> etree._Element:
    """Answers RegisterToMycarenetService with SUCCESS or the business errors of the request."""
    request = _read(call)
    problems = _problems(call, request)
    if not problems and (problem := schema_problem(request.business)):
        raise Refusal("SOA-03006", problem)
    start = request.business.get("StartDateTime", "")
    if not problems:
        accepted, is_ours = call.simulation.store.accept(_acceptance(call, request, start))
        start = accepted.start_date
        problems = [] if is_ours else [Problem("168", NIHII)]
    return _response(call, request, problems, start)


def _wrong(reason: str) -> Refusal:
    return Refusal("SOA-03007", reason)


def _read(call: Call) -> _Request:
    request = call.payload
    _check_origin(call)
    if call.mutuality not in MUTUALITIES:
        raise _wrong("Routing names no mutuality")
    _check_reference_date(call)
    detail = request.find(f"{{{P}}}Detail")
    if detail is None:
        raise _wrong("there is no Detail")
    content, deflated = _content(detail)
    try:
        business = parse_xml(content)
    except ValueError as error:
        raise _wrong("Detail does not hold XML") from error
    if business.tag != f"{{{B}}}registrations":
        raise _wrong("Detail does not hold registrations")
    _check_xades(call, business, f"#{detail.get('Id', '')}", deflated)
    registration = business.find(f"{{{B}}}registration")
    account = None if registration is None else registration.find(f"{{{B}}}bankAccount")
    reference = text(request.find(f"{{{P}}}CommonInput/{{{C}}}InputReference")) or request.get("Id", "")
    if not reference:
        raise _wrong("neither Id nor InputReference names the request")
    return _Request(
        business=business,
        nihii=text(business.find(f"{{{B}}}registrant/{{{B}}}CareProvider/{{{E}}}Nihii/{{{E}}}Value")),
        mutuality=call.mutuality,
        reference=reference,
        service=None if registration is None else registration.get("serviceName"),
        iban=None if account is None else account.get("iban"),
        bic=None if account is None else account.get("bic"),
    )


def _check_origin(call: Call) -> None:
    common = f"{{{P}}}CommonInput"
    origin = f"{common}/{{{C}}}Origin"
    if text(call.payload.find(f"{common}/{{{C}}}Request/{{{C}}}IsTest")) not in {"true", "1"}:
        raise _wrong("IsTest must be true outside production")
    licence = call.simulation.licence
    package = f"{origin}/{{{C}}}Package"
    given = tuple(
        text(call.payload.find(f"{package}/{path}"))
        for path in (f"{{{C}}}Name", f"{{{C}}}License/{{{C}}}Username", f"{{{C}}}License/{{{C}}}Password")
    )
    if given != (licence.name, licence.username, licence.password):
        raise Refusal("SOA-01002", "License Invalid")
    provider = f"{origin}/{{{C}}}CareProvider"
    if text(call.payload.find(f"{provider}/{{{C}}}Nihii/{{{C}}}Quality")) != "doctor":
        raise _wrong("CareProvider must be a doctor")
    if text(call.payload.find(f"{provider}/{{{C}}}PhysicalPerson/{{{C}}}Ssin")) != call.signer.ssin:
        raise _wrong("CareProvider is another person than the token's")


def _check_reference_date(call: Call) -> None:
    day = date.fromisoformat(text(call.payload.find(f"{{{P}}}Routing/{{{C}}}ReferenceDate"))[:10])
    if abs(day - call.now.date()) > timedelta(days=1):
        raise _wrong("ReferenceDate must be today")


def _content(detail: etree._Element) -> tuple[bytes, bool]:
    if detail.get("ContentType") != "text/xml":
        raise _wrong("Detail must be text/xml")
    raw = base64.b64decode(text(detail))
    encoding = detail.get("ContentEncoding", "deflate")
    if encoding not in {"none", "deflate"}:
        raise _wrong(f"Detail has an unknown encoding {encoding}")
    content = _inflate(raw) if encoding == "deflate" else raw
    digest = detail.get("HashValue")
    if digest and base64.b64decode(digest) != hashlib.sha256(content).digest():
        raise _wrong("HashValue is not the SHA-256 of the content")
    return content, encoding == "deflate"


def _inflate(raw: bytes) -> bytes:
    for window in (-zlib.MAX_WBITS, zlib.MAX_WBITS):
        inflater = zlib.decompressobj(window)
        try:
            content = inflater.decompress(raw, LARGEST_DETAIL)
        except zlib.error:
            continue
        if not inflater.eof:
            raise _wrong("Detail is too large or cut short")
        return content
    raise _wrong("Detail cannot be inflated")


def _check_xades(call: Call, business: etree._Element, uri: str, deflated: bool) -> None:
    element = call.payload.find(f"{{{P}}}Xades")
    if element is None or element.get(f"{{{XMIME}}}contentType") != "text/xml":
        raise _wrong("a Xades of type text/xml is needed")
    encoded = base64.b64decode(text(element))
    certificate = call.signer.certificate
    try:
        xades.check(encoded, business, uri, deflated=deflated, holder=certificate, now=call.now)
    except BadSignature as error:
        raise _wrong(str(error)) from error


def _problems(call: Call, request: _Request) -> list[Problem]:
    """The business errors: of form first; only a well-formed request is judged by the mutuality."""
    if call.fault.kind == "business":
        where = NIHII if call.fault.value in {"140", "141", "155", "168"} else ACCOUNT
        return [Problem(call.fault.value, where)]
    return _problems_of_form(call, request) or _problems_of_right(call, request)


def _problems_of_form(call: Call, request: _Request) -> list[Problem]:
    envelope = f"{{{P}}}CommonInput/{{{C}}}Origin/{{{C}}}CareProvider/{{{C}}}Nihii/{{{C}}}Value"
    is_same = {request.nihii} == {text(call.payload.find(envelope)), call.signer.claims[NIHII11]}
    found = {
        NIHII: _judge(request.nihii, "111", _is_nihii) or ("" if is_same else "155"),
        SERVICE: _judge(request.service, "130", "GMD".__eq__),
        f"{ACCOUNT}/@iban": _judge(request.iban, "111", _is_iban),
        f"{ACCOUNT}/@bic": "" if request.bic is None else _judge(request.bic, "111", _is_bic),
    }
    return [Problem(code, location) for location, code in found.items() if code]


def _judge(value: str | None, code: str, is_right: Callable[[str], bool]) -> str:
    """100 for a value that is missing, ``code`` for one that is not right, nothing otherwise."""
    if not value:
        return "100"
    return "" if is_right(value) else code


def _problems_of_right(call: Call, request: _Request) -> list[Problem]:
    person = call.simulation.store.person(call.signer.ssin) or Person(call.signer.ssin)
    if request.mutuality not in person.recognised:
        return [Problem("141", NIHII)]
    if int(request.nihii[8:]) not in ENTITLED:
        return [Problem("140", NIHII)]
    if request.mutuality in person.registered:
        return [Problem("168", NIHII)]
    return []


def _is_nihii(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{11}", value)) and 97 - int(value[:6]) % 97 == int(value[6:8])


def _is_bic(value: str) -> bool:
    return bool(re.fullmatch(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?", value))


def _is_iban(value: str) -> bool:
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", value):
        return False
    digits = "".join(str(int(character, 36)) for character in value[4:] + value[:4])
    return int(digits) % 97 == 1


def _acceptance(call: Call, request: _Request, start: str) -> Acceptance:
    account = hashlib.sha256(f"{request.iban} {request.bic}".encode()).hexdigest()
    moment = call.now.isoformat()
    return Acceptance(request.nihii, request.mutuality, request.reference, account, start, moment)


def _response(call: Call, request: _Request, problems: list[Problem], start: str) -> etree._Element:
    business = _business_answer(request, problems, start)
    response = etree.Element(f"{{{R}}}RegisterToMycarenetServiceResponse", nsmap={"r": R, "p": P, "c": C})
    response.set("Id", new_id())
    if call.payload.get("Id"):
        response.set("InResponseTo", call.payload.get("Id", ""))
    response.set("IssueInstant", call.now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    result = etree.SubElement(response, f"{{{P}}}Return")
    output = etree.SubElement(result, f"{{{P}}}CommonOutput")
    given = text(call.payload.find(f"{{{P}}}CommonInput/{{{C}}}InputReference"))
    if given:
        etree.SubElement(output, f"{{{C}}}InputReference").text = given
    etree.SubElement(output, f"{{{C}}}NIPReference").text = call.now.strftime("%Y%m%d%H%M%S%f")[:17]
    etree.SubElement(output, f"{{{C}}}OutputReference").text = f"{request.mutuality}-{new_id()[1:9]}"
    content = etree.tostring(business)
    deflate = call.fault.kind == "deflate"
    if deflate:
        squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = squeezer.compress(content) + squeezer.flush()
    detail = etree.SubElement(result, f"{{{P}}}Detail", Id=new_id(), ContentType="text/xml")
    detail.set("ContentEncoding", "deflate" if deflate else "none")
    detail.text = base64.b64encode(content).decode()
    if call.fault.kind != "no-xades":
        _add_xades(call, result, business, f"#{detail.get('Id')}")
    return response


def _add_xades(call: Call, result: etree._Element, business: etree._Element, uri: str) -> None:
    pki = call.simulation.pki
    signed = xades.make(business, uri, pki.mycarenet, pki.ca.certificate, call.now)
    element = etree.SubElement(result, f"{{{P}}}XadesT", {f"{{{XMIME}}}contentType": "text/xml"})
    element.text = base64.b64encode(signed).decode()


def _business_answer(request: _Request, problems: list[Problem], start: str) -> etree._Element:
    answer = etree.Element(f"{{{B}}}registrationsAnswer", nsmap={"b": B, "c": E, "t": T})
    provider = etree.SubElement(etree.SubElement(answer, f"{{{B}}}registrant"), f"{{{B}}}CareProvider")
    nihii = etree.SubElement(provider, f"{{{E}}}Nihii")
    etree.SubElement(nihii, f"{{{E}}}Quality").text = "doctor"
    etree.SubElement(nihii, f"{{{E}}}Value").text = request.nihii
    result = etree.SubElement(answer, f"{{{B}}}registrationAnswer", serviceName=request.service or "")
    result.set("status", "ERROR" if problems else "SUCCESS")
    if not problems:
        result.set("startDate", start)
    for problem in problems:
        details = etree.SubElement(result, f"{{{B}}}answerDetails")
        etree.SubElement(details, f"{{{T}}}DetailCode").text = problem.code
        etree.SubElement(details, f"{{{T}}}DetailSource").text = request.mutuality
        etree.SubElement(details, f"{{{T}}}Location").text = problem.location
        message = etree.SubElement(details, f"{{{T}}}Message", {f"{{{XML}}}lang": "fr"})
        message.text = WORDS.get(problem.code, "Erreur")
    return answer
