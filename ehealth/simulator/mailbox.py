"""The eHealthBox, consultation v3: the state of a doctor's box and the list of what came."""

from datetime import date, timedelta
from typing import Any

from lxml import etree

from ehealth.simulator.gateway import Call
from ehealth.simulator.soap import Refusal, new_id, text
from ehealth.simulator.store import Person, Store

BOX = "urn:be:fgov:ehealth:ehbox:consultation:protocol:v3"
LARGEST_PAGE = 100
TITLES = (
    ("Résultats de laboratoire", "LABO", "71000111", "LABORATOIRE DE TEST", "LaboOnline", 9_200),
    ("Verslag raadpleging cardiologie", "HOSPITAL", "71000012", "TESTZIEKENHUIS OOST", "Kws", 28_900),
    (
        "Rapport de sortie, service de médecine interne",
        "HOSPITAL",
        "71000210",
        "HOPITAL DE TEST",
        "",
        41_072,
    ),
    ("Medisch beeldvormingsverslag", "HOSPITAL", "71000012", "TESTZIEKENHUIS OOST", "Ris", 12_600),
    ("Protocole de radiologie", "HOSPITAL", "71000210", "HOPITAL DE TEST", "", 11_300),
    ("Verwijsbrief", "DOCTOR", "19999915", "DOKTER TEST", "", 9_100),
    ("Rapport de garde médicale", "GUARD_POST", "71000319", "POSTE DE GARDE DE TEST", "", 7_700),
    ("Ontslagbrief", "HOSPITAL", "71000012", "TESTZIEKENHUIS OOST", "Kws", 36_000),
)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
INVALID_BOX = "810"


def seed(
    store: Store,
    ssin: str,
    count: int,
    today: date,
    *,
    title: str = "",
    size: int | None = None,
    box: str = "INBOX",
) -> list[str]:
    """Puts ``count`` plausible messages in a box, three a day, the newest today; gives their identifiers."""
    start = store.last_message()
    rows = []
    for index in range(count):
        model = TITLES[index % len(TITLES)]
        facts: dict[str, Any] = {
            "title": title or model[0],
            "quality": model[1],
            "sender": model[2],
            "name": model[3],
            "application": model[4],
            "important": index % 9 == 0,
            "annex": index % 4 == 0,
        }
        published = today - timedelta(days=(count - 1 - index) // 3)
        identifier = _message_id(start + index + 1)
        rows.append((identifier, ssin, box, published.isoformat(), size or model[5], facts))
    store.put_messages(rows)
    return [row[0] for row in rows]


def _message_id(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, len(ALPHABET))
        digits = ALPHABET[rest] + digits
    return "SIM" + digits.rjust(10, "0")


def get_box_info(call: Call) -> etree._Element:
    """Answers GetBoxInfo for the box of the token's holder."""
    response = _response(call, "GetBoxInfoResponse")
    if response.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return response
    person = call.simulation.store.person(call.signer.ssin) or Person(call.signer.ssin)
    used = person.current_size
    _box_id(response, "BoxId", person.ssin)
    _add(response, "NbrMessagesInStandBy", str(person.standby))
    _add(response, "CurrentSize", str(call.simulation.store.box_size(person.ssin) if used is None else used))
    _add(response, "MaxSize", str(person.max_size))
    return response


def get_messages_list(call: Call) -> etree._Element:
    """Answers GetMessagesList: newest first, indexes from 1, at most 100 a call."""
    response = _response(call, "GetMessagesListResponse")
    if response.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return response
    first = int(text(call.payload.find("StartIndex")) or 1)
    last = int(text(call.payload.find("EndIndex")) or LARGEST_PAGE)
    if last < first or last - first >= LARGEST_PAGE:
        raise Refusal("SOA-03007", "at most 100 messages can be listed at a time", kind="BusinessError")
    box = text(call.payload.find("Source")) or "INBOX"
    _add(response, "Source", box)
    for message in call.simulation.store.messages(call.signer.ssin, box, first, last):
        _message(response, message, call.signer.ssin)
    return response


def _add(parent: etree._Element, name: str, content: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, name)
    element.text = content
    return element


def _response(call: Call, name: str) -> etree._Element:
    code, message = "100", "SUCCESS"
    if call.fault.kind == "business":
        code, message = call.fault.value, "ordered"
    elif not _is_own_box(call):
        code, message = INVALID_BOX, "Invalid BoxId or no access to this box"
    response = etree.Element(f"{{{BOX}}}{name}", nsmap={"c": BOX}, Id=new_id())
    status = _add(response, "Status")
    _add(status, "Code", code)
    _add(status, "Message", message).set("Lang", "EN")
    return response


def _is_own_box(call: Call) -> bool:
    box = call.payload.find("BoxId")
    if box is None:
        return True
    kind, number, quality = (text(box.find(name)) for name in ("Type", "Id", "Quality"))
    person = call.simulation.store.person(call.signer.ssin)
    nihii = (person.nihii11 if person else "") or ""
    own = {("INSS", call.signer.ssin), ("NIHII", nihii), ("NIHII", nihii[:8])}
    return quality == "DOCTOR" and bool(number) and (kind, number) in own


def _box_id(parent: etree._Element, name: str, ssin: str) -> None:
    box = _add(parent, name)
    _add(box, "Id", ssin)
    _add(box, "Type", "INSS")
    _add(box, "Quality", "DOCTOR")


def _message(parent: etree._Element, facts: dict[str, Any], ssin: str) -> None:
    message = _add(parent, "Message")
    _add(message, "MessageId", facts["id"])
    _box_id(message, "Destination", ssin)
    sender = _add(message, "Sender")
    for name, key in (("Id", "sender"), ("Type", ""), ("Quality", "quality"), ("Name", "name")):
        _add(sender, name, facts[key] if key else "NIHII")
    info = _add(message, "MessageInfo")
    published = date.fromisoformat(facts["published"])
    _add(info, "PublicationDate", published.isoformat())
    _add(info, "ExpirationDate", (published + timedelta(days=182)).isoformat())
    _add(info, "Size", str(facts["size"]))
    content = _add(message, "ContentInfo")
    _add(content, "Title", facts["title"])
    _add(content, "MimeType", "text/plain")
    _add(content, "HasFreeInformations", "false")
    _add(content, "HasAnnex", "true" if facts["annex"] else "false")
    specification = _add(message, "ContentSpecification")
    if facts["application"]:
        _add(specification, "ApplicationName", facts["application"])
    _add(specification, "ContentType", "DOCUMENT")
    _add(specification, "IsImportant", "true" if facts["important"] else "false")
    _add(specification, "IsEncrypted", "true")
