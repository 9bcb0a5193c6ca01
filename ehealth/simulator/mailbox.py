"""The eHealthBox, consultation v3: the state of a doctor's box, what came, moving and deleting."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from lxml import etree

from ehealth.simulator.gateway import Call
from ehealth.simulator.soap import Refusal, new_id, text
from ehealth.simulator.store import Letter, Person, Store

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
BINS = {"INBOX": "BININBOX", "SENTBOX": "BINSENTBOX", "BININBOX": "INBOX", "BINSENTBOX": "SENTBOX"}


def seed(
    store: Store,
    ssin: str,
    count: int,
    today: date,
    *,
    title: str = "",
    size: int | None = None,
    box: str = "INBOX",
    expires: str = "",
) -> list[str]:
    """Puts ``count`` plausible messages in a box, three a day, the newest today; gives their identifiers."""
    letters = []
    for index, number in enumerate(store.numbers(count)):
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
        ends = expires or (published + KEPT).isoformat()
        letters.append(
            Letter(message_id(number), ssin, box, published.isoformat(), ends, size or model[5], facts)
        )
    store.put_letters(letters)
    return [each.id for each in letters]


def message_id(number: int) -> str:
    """The identifier of the message with that running number."""
    digits = ""
    while number:
        number, rest = divmod(number, len(ALPHABET))
        digits = ALPHABET[rest] + digits
    return "SIM" + digits.rjust(10, "0")


def used(store: Store, person: Person, today: str) -> int:
    """Bytes of the box that are taken: what was ordered, else what lies there."""
    return store.box_size(person.ssin, today) if person.current_size is None else person.current_size


def get_box_info(call: Call) -> etree._Element:
    """Answers GetBoxInfo for the box of the token's holder."""
    response = answered(call, BOX, "GetBoxInfoResponse")
    if is_refused(response):
        return response
    store, today = call.simulation.store, call.now.date().isoformat()
    person = store.person(call.signer.ssin) or Person(call.signer.ssin)
    box_id(add(response, "BoxId"), person.ssin)
    add(response, "NbrMessagesInStandBy", str(person.standby + len(store.waiting(person.ssin, today))))
    add(response, "CurrentSize", str(used(store, person, today)))
    add(response, "MaxSize", str(person.max_size))
    return response


def get_messages_list(call: Call) -> etree._Element:
    """Answers GetMessagesList: newest first, indexes from 1, at most 100 a call."""
    response = answered(call, BOX, "GetMessagesListResponse")
    if is_refused(response):
        return response
    first, last = page(call)
    box = text(call.payload.find("Source")) or "INBOX"
    add(response, "Source", box)
    today = call.now.date().isoformat()
    for letter in call.simulation.store.letters(call.signer.ssin, box, today, first, last):
        _message(response, letter)
    return response


def move_message(call: Call) -> etree._Element:
    """Answers MoveMessage: between a folder and its bin; what is there is moved, the rest is named."""
    source, destination = (text(call.payload.find(name)) for name in ("Source", "Destination"))
    if BINS[source] != destination:
        raise refused("a message moves between a folder and its bin only")
    store = call.simulation.store
    return _each(call, "MoveMessageResponse", source, lambda letter: store.move_letter(letter, destination))


def delete_message(call: Call) -> etree._Element:
    """Answers DeleteMessage: final; the room that becomes free is given to what waits outside."""
    source = text(call.payload.find("Source"))
    return _each(call, "DeleteMessageResponse", source, call.simulation.store.delete_letter)


def _each(call: Call, name: str, source: str, change: Callable[[Letter], bool]) -> etree._Element:
    response = answered(call, BOX, name)
    if is_refused(response):
        return response
    store, today = call.simulation.store, call.now.date().isoformat()
    unknown = []
    for identifier in dict.fromkeys(text(each) for each in call.payload.findall("MessageId")):
        letter = store.letter(call.signer.ssin, source, today, identifier)
        if letter is not None and change(letter):
            add(response, "MessageId", identifier)
        else:
            unknown.append(identifier)
    admit(call, call.signer.ssin)
    if unknown:
        raise refused(f"no such message in {source}: {', '.join(unknown)}")
    return response


def admit(call: Call, ssin: str) -> None:
    """Lets into a box what waits outside and has room now, oldest first."""
    store, today = call.simulation.store, call.now.date().isoformat()
    person = store.person(ssin) or Person(ssin)
    for letter in store.waiting(ssin, today):
        if used(store, person, today) + letter.size > person.max_size:
            return
        store.move_letter(letter, "INBOX")
        store.receive(letter.id, ssin, moment(call.now))


def page(call: Call) -> tuple[int, int]:
    """The first and last index that the request asks for."""
    first = int(text(call.payload.find("StartIndex")) or 1)
    last = int(text(call.payload.find("EndIndex")) or LARGEST_PAGE)
    if last < first or last - first >= LARGEST_PAGE:
        raise refused("at most 100 can be listed at a time")
    return first, last


def refused(reason: str) -> Refusal:
    """A request that keeps to the schema and yet makes no sense."""
    return Refusal("SOA-03007", reason, kind="BusinessError")


def moment(value: datetime) -> str:
    """An xs:dateTime."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def add(parent: etree._Element, name: str, content: str | None = None) -> etree._Element:
    """A new last child, without namespace."""
    element = etree.SubElement(parent, name)
    element.text = content
    return element


def answered(call: Call, namespace: str, name: str) -> etree._Element:
    """The answer with its status: success, the code that was ordered, or 810 for somebody else's box."""
    response = etree.Element(f"{{{namespace}}}{name}", nsmap={"c": namespace}, Id=new_id())
    add(response, "Status")
    set_status(response, "100", "SUCCESS")
    if call.fault.kind == "business":
        set_status(response, call.fault.value, "ordered")
    elif not _is_own_box(call):
        set_status(response, INVALID_BOX, "Invalid BoxId or no access to this box")
    return response


def set_status(response: etree._Element, code: str, message: str) -> None:
    """Makes the answer say so."""
    status = response[0]
    del status[:]
    add(status, "Code", code)
    add(status, "Message", message).set("Lang", "EN")


def is_refused(response: etree._Element) -> bool:
    """Whether the status is no success, so that nothing else is done or said."""
    return text(response.find("Status/Code")) != "100"


def _is_own_box(call: Call) -> bool:
    box = call.payload.find("BoxId")
    if box is None:
        return True
    kind, number, quality = (text(box.find(name)) for name in ("Type", "Id", "Quality"))
    person = call.simulation.store.person(call.signer.ssin)
    nihii = (person.nihii11 if person else "") or ""
    own = {("INSS", call.signer.ssin), ("NIHII", nihii), ("NIHII", nihii[:8])}
    return quality == "DOCTOR" and bool(number) and (kind, number) in own


def box_id(box: etree._Element, ssin: str) -> None:
    """Fills an identifier of the box of a doctor."""
    add(box, "Id", ssin)
    add(box, "Type", "INSS")
    add(box, "Quality", "DOCTOR")


def _message(parent: etree._Element, letter: Letter) -> None:
    facts = letter.facts
    message = add(parent, "Message")
    add(message, "MessageId", letter.id)
    box_id(add(message, "Destination"), facts.get("recipient", letter.ssin))
    sender(message, letter)
    information(message, letter)
    content = add(message, "ContentInfo")
    add(content, "Title", facts["title"])
    add(content, "MimeType", "text/plain")
    add(content, "HasFreeInformations", "false")
    add(content, "HasAnnex", "true" if facts["annex"] else "false")
    specification(message, letter)


def sender(parent: etree._Element, letter: Letter) -> None:
    """Who sent the message."""
    facts = letter.facts
    found = add(parent, "Sender")
    add(found, "Id", facts["sender"])
    add(found, "Type", facts.get("sender_type", "NIHII"))
    add(found, "Quality", facts["quality"])
    add(found, "Name", facts["name"])
    if facts.get("first_name"):
        add(found, "FirstName", facts["first_name"])


def information(parent: etree._Element, letter: Letter) -> None:
    """Dates and size of the message."""
    info = add(parent, "MessageInfo")
    add(info, "PublicationDate", letter.published)
    add(info, "ExpirationDate", letter.expires)
    add(info, "Size", str(letter.size))


def specification(parent: etree._Element, letter: Letter) -> None:
    """What kind of message it is."""
    found = add(parent, "ContentSpecification")
    if letter.facts["application"]:
        add(found, "ApplicationName", letter.facts["application"])
    add(found, "ContentType", "DOCUMENT")
    add(found, "IsImportant", "true" if letter.facts["important"] else "false")
    add(found, "IsEncrypted", "true" if letter.facts.get("encrypted", True) else "false")
