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
KEPT = timedelta(days=182)


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
        identifier = message_id(start + index + 1)
        rows.append((identifier, ssin, box, published.isoformat(), size or model[5], facts))
    store.put_messages(rows)
    return [row[0] for row in rows]


def message_id(number: int) -> str:
    """The identifier of the message with that running number."""
    digits = ""
    while number:
        number, rest = divmod(number, len(ALPHABET))
        digits = ALPHABET[rest] + digits
    return "SIM" + digits.rjust(10, "0")


def get_box_info(call: Call) -> etree._Element:
    """Answers GetBoxInfo for the box of the token's holder."""
    answer = response(call, "GetBoxInfoResponse")
    if answer.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return answer
    person = call.simulation.store.person(call.signer.ssin) or Person(call.signer.ssin)
    used = person.current_size
    box_id(answer, "BoxId", person.ssin)
    waiting = person.standby + call.simulation.store.count(person.ssin, "STANDBY")
    add(answer, "NbrMessagesInStandBy", str(waiting))
    add(answer, "CurrentSize", str(call.simulation.store.box_size(person.ssin) if used is None else used))
    add(answer, "MaxSize", str(person.max_size))
    return answer


def get_messages_list(call: Call) -> etree._Element:
    """Answers GetMessagesList: newest first, indexes from 1, at most 100 a call."""
    answer = response(call, "GetMessagesListResponse")
    if answer.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return answer
    first = int(text(call.payload.find("StartIndex")) or 1)
    last = int(text(call.payload.find("EndIndex")) or LARGEST_PAGE)
    if last < first or last - first >= LARGEST_PAGE:
        raise Refusal("SOA-03007", "at most 100 messages can be listed at a time", kind="BusinessError")
    box = text(call.payload.find("Source")) or "INBOX"
    add(answer, "Source", box)
    call.simulation.store.expire((call.now.date() - KEPT).isoformat())
    for message in call.simulation.store.messages(call.signer.ssin, box, first, last):
        _message(answer, message, call.signer.ssin)
    return answer


def add(parent: etree._Element, name: str, content: str | None = None) -> etree._Element:
    """A new unqualified child."""
    element = etree.SubElement(parent, name)
    element.text = content
    return element


def response(call: Call, name: str, *, namespace: str = BOX) -> etree._Element:
    """An answer with its status: 100, what was ordered, or 810 for a box of somebody else."""
    code, message = "100", "SUCCESS"
    if call.fault.kind == "business":
        code, message = call.fault.value, "ordered"
    elif not _is_own_box(call):
        code, message = INVALID_BOX, "Invalid BoxId or no access to this box"
    response = etree.Element(f"{{{namespace}}}{name}", nsmap={"c": namespace}, Id=new_id())
    status = add(response, "Status")
    add(status, "Code", code)
    add(status, "Message", message).set("Lang", "EN")
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


def box_id(parent: etree._Element, name: str, ssin: str) -> None:
    """The address of a doctor's own box."""
    box = add(parent, name)
    add(box, "Id", ssin)
    add(box, "Type", "INSS")
    add(box, "Quality", "DOCTOR")


def _message(parent: etree._Element, facts: dict[str, Any], ssin: str) -> None:
    message = add(parent, "Message")
    add(message, "MessageId", facts["id"])
    box_id(message, "Destination", ssin)
    sender(message, facts)
    info = add(message, "MessageInfo")
    add(info, "PublicationDate", facts["published"])
    add(info, "ExpirationDate", expiry(facts["published"]).isoformat())
    add(info, "Size", str(facts["size"]))
    content = add(message, "ContentInfo")
    add(content, "Title", facts["title"])
    add(content, "MimeType", "text/plain")
    add(content, "HasFreeInformations", "false")
    add(content, "HasAnnex", "true" if facts["annex"] else "false")
    specification = add(message, "ContentSpecification")
    if facts["application"]:
        add(specification, "ApplicationName", facts["application"])
    add(specification, "ContentType", "DOCUMENT")
    add(specification, "IsImportant", "true" if facts["important"] else "false")
    add(specification, "IsEncrypted", "false" if "content" in facts else "true")


def sender(parent: etree._Element, facts: dict[str, Any]) -> None:
    """Who sent a message."""
    who = add(parent, "Sender")
    for name, key in (("Id", "sender"), ("Type", ""), ("Quality", "quality"), ("Name", "name")):
        add(who, name, facts[key] if key else "NIHII")


def expiry(published: str) -> date:
    """The last day on which the box still shows a message."""
    return date.fromisoformat(published) + KEPT
