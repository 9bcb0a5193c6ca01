"""MyCareNet Registration: a doctor's account for DMG fees, declared to one mutuality per call."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from lxml import etree

from ehealth.client import names
from ehealth.client.blobs import content_of, octets_of
from ehealth.client.contracts import check_business, message
from ehealth.client.conversation import Question, Received, Trace, ask
from ehealth.client.errors import Detail, Malformed, NotAuthentic, Refused, clean
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.client.wsse import with_assertion
from ehealth.client.xades import sign_detail
from ehealth.client.xml import Element, canonical, parse, text_of

_ACTION = f"{names.REGISTRATION}:RegisterToMycarenetService"
_SERVICE = "GMD"
_QUALITY = "doctor"
_BLOB = "blob"
_ALREADY = "168"
_BELGIUM = ZoneInfo("Europe/Brussels")
_P = {"p": names.PROTOCOL, "c": names.COMMONS}
_B = {"b": names.BUSINESS, "e": names.ESB, "t": names.CIN}


@dataclass(frozen=True)
class Registration:
    """What is declared. Numbers without separators; `reference` is made once and stays the same at every
    retry.
    """

    nihii: str = field(repr=False)
    ssin: str = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    mutuality: str
    iban: str = field(repr=False)
    bic: str = field(repr=False)
    reference: str
    start_date: date

    @property
    def request_id(self) -> str:
        """The identifier of the message, the same for the same reference."""
        return "_" + hashlib.sha256(self.reference.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Answer:
    """A registration the mutuality accepted. `xades_t` is MyCareNet's proof, verbatim, None when it gave
    none.
    """

    status: str
    start_date: date | None
    details: tuple[Detail, ...]
    nip_reference: str
    output_reference: str
    xades_t: bytes | None = field(repr=False)


def register(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    request: Registration, now: datetime, trace: Trace | None = None,
) -> Answer:  # fmt: skip
    """Register with one mutuality.

    Refused(code, details) for an ERROR answer: `168` only when nothing but "already registered" was said.
    After Unreachable or TimedOut with `sent`, and after Malformed or NotAuthentic, the result is unknown: the
    same request may be sent again.
    """

    def build(moment: datetime) -> bytes:
        return with_assertion(_envelope(platform, identity, request, moment), identity, assertion, moment)

    def read(answer: Received) -> Answer:
        return _answer(answer.element, request)

    due = f"{{{names.REGISTRATION}}}RegisterToMycarenetServiceResponse"
    operation = "registerToMycarenetService"
    question = Question("registration", operation, _ACTION, due, build, reference=request.reference)
    return ask(platform, question, read, now=now, trace=trace)


def _envelope(platform: Platform, identity: Identity, request: Registration, moment: datetime) -> Element:
    content = _content(request)
    return message(
        "registration.wsdl",
        "registerToMycarenetService",
        Id=request.request_id,
        IssueInstant=moment,
        CommonInput=_common_input(platform, request),
        Routing={"CareReceiver": {"Mutuality": request.mutuality}, "ReferenceDate": _belgian_day(moment)},
        Detail={"_value_1": content, "Id": _BLOB, "ContentType": "text/xml", "ContentEncoding": "none"},
        Xades={"_value_1": sign_detail(content, identity, moment, blob_id=_BLOB), "contentType": "text/xml"},
    )


def _belgian_day(moment: datetime) -> date:
    return moment.astimezone(_BELGIUM).date()


def _common_input(platform: Platform, request: Registration) -> dict[str, Any]:
    licence = platform.licence
    person = {
        "Name": {"_value_1": f"{request.first_name} {request.last_name}"},
        "Ssin": {"_value_1": request.ssin},
    }
    return {
        "Request": {"IsTest": platform.is_test},
        "Origin": {
            "Package": {
                "Name": {"_value_1": licence.name},
                "License": {"Username": licence.username, "Password": licence.password},
            },
            "CareProvider": {
                "Nihii": {"Quality": _QUALITY, "Value": {"_value_1": request.nihii}},
                "PhysicalPerson": person,
            },
        },
        "InputReference": request.reference,
    }


def _content(request: Registration) -> bytes:
    """The business document in exclusive canonical form, which is also what the doctor signs."""
    b, e = f"{{{names.BUSINESS}}}", f"{{{names.ESB}}}"
    prefixes: Any = {None: names.BUSINESS, "c": names.ESB}
    root = etree.Element(f"{b}registrations", nsmap=prefixes)
    root.set("StartDateTime", request.start_date.isoformat())
    provider = etree.SubElement(etree.SubElement(root, f"{b}registrant"), f"{b}CareProvider")
    nihii = etree.SubElement(provider, f"{e}Nihii")
    etree.SubElement(nihii, f"{e}Quality").text = _QUALITY
    etree.SubElement(nihii, f"{e}Value").text = request.nihii
    registration = etree.SubElement(root, f"{b}registration", serviceName=_SERVICE)
    account = etree.SubElement(registration, f"{b}bankAccount", iban=request.iban)
    if request.bic:
        account.set("bic", request.bic)
    return canonical(root)


def _answer(element: Element, request: Registration) -> Answer:
    output = element.find("p:Return/p:CommonOutput", _P)
    _check_ours(element.get("InResponseTo"), request.request_id)
    _check_ours(text_of(output, "c:InputReference", _P) or None, request.reference)
    business = parse(content_of(element.find("p:Return/p:Detail", _P)))
    verdict = _verdict(business, request)
    details = tuple(_detail(found) for found in verdict.findall("b:answerDetails", _B))
    if verdict.get("status") != "SUCCESS":
        raise Refused(_leading(details), details)
    proof = element.find("p:Return/p:XadesT", _P)
    started = verdict.get("startDate")
    return Answer(
        status="SUCCESS",
        start_date=date.fromisoformat(started[:10]) if started else None,
        details=details,
        nip_reference=clean(text_of(output, "c:NIPReference", _P)),
        output_reference=clean(text_of(output, "c:OutputReference", _P)),
        xades_t=None if proof is None else octets_of(proof),
    )


def _check_ours(found: str | None, expected: str) -> None:
    """What the answer says it answers; the contract lets it say nothing."""
    if found is not None and found != expected:
        raise NotAuthentic("answer to another request")


def _verdict(business: Element, request: Registration) -> Element:
    check_business(business)
    if business.tag != f"{{{names.BUSINESS}}}registrationsAnswer":
        raise Malformed("another content")
    verdict = business.find("b:registrationAnswer", _B)
    nihii = text_of(business, "b:registrant/b:CareProvider/e:Nihii/e:Value", _B)
    if nihii != request.nihii or verdict.get("serviceName") != _SERVICE:
        raise NotAuthentic("answer about another registration")
    return verdict


def _leading(details: tuple[Detail, ...]) -> str:
    """The code that decides: another reason weighs more than "already registered"."""
    if not details:
        raise Malformed("refusal without a reason")
    return next((detail.code for detail in details if detail.code != _ALREADY), _ALREADY)


def _detail(element: Element) -> Detail:
    spoken = element.find("t:Message", _B)
    return Detail(
        code=clean(text_of(element, "t:DetailCode", _B)),
        source=clean(text_of(element, "t:DetailSource", _B)),
        location=clean(text_of(element, "t:Location", _B)),
        message=clean(text_of(element, "t:Message", _B)),
        language="" if spoken is None else spoken.get(names.XML_LANG, ""),
    )
