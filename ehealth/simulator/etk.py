"""The ETK depot: which encryption certificate belongs to whom. No security header, TLS alone."""

import base64

from lxml import etree

from ehealth.simulator.gateway import Call
from ehealth.simulator.soap import new_id, text

ETK = "urn:be:fgov:ehealth:etkdepot:1_0:protocol"
COMMONS = "urn:be:fgov:ehealth:commons:1_0:core"
TYPES = {"SSIN", "NIHII", "NIHII11", "CBE", "EHP"}
STATUS = {"200": "OK", "400": "Identifier type unknown", "404": "No ETK found for this identifier"}


def identifiers(request: etree._Element) -> list[tuple[str, str]]:
    """Type and value of everything that is searched."""
    path = f"{{{ETK}}}SearchCriteria/{{{ETK}}}Identifier"
    return [
        (text(found.find(f"{{{ETK}}}Type")), text(found.find(f"{{{ETK}}}Value")))
        for found in request.iterfind(path)
    ]


def subject(request: etree._Element) -> str:
    """The national number that is searched, if it is one."""
    return next((value for kind, value in identifiers(request) if kind == "SSIN"), "")


def get(call: Call) -> etree._Element:
    """Answers GetEtk: the token of a person by SSIN, otherwise status 400 or 404."""
    kind, value = identifiers(call.payload)[0]
    token = call.simulation.store.etk(value) if kind == "SSIN" else None
    code = "200" if token else "404" if kind.split("-")[0] in TYPES else "400"
    if call.fault.kind == "business":
        code, token = call.fault.value, None
    response = etree.Element(f"{{{ETK}}}GetEtkResponse", nsmap={"k": ETK, "s": COMMONS}, Id=new_id())
    status = etree.SubElement(response, f"{{{COMMONS}}}Status")
    etree.SubElement(status, "Code").text = code
    etree.SubElement(status, "Message", Lang="EN").text = STATUS.get(code, "Internal error")
    given = etree.SubElement(response, f"{{{ETK}}}GivenSearchCriteria")
    for found in call.payload.iterfind(f"{{{ETK}}}SearchCriteria/{{{ETK}}}Identifier"):
        given.append(_copy(found))
    if token:
        etree.SubElement(response, f"{{{ETK}}}ETK").text = base64.b64encode(token).decode()
    return response


def _copy(identifier: etree._Element) -> etree._Element:
    copied = etree.Element(f"{{{ETK}}}Identifier", nsmap={"k": ETK})
    for child in identifier:
        etree.SubElement(copied, child.tag).text = text(child)
    return copied
