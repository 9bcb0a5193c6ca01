"""The eHealthBox, publication v3: sending a message to doctors of the register."""

import base64
import hashlib
from datetime import date

from lxml import etree

from ehealth.simulator import mailbox
from ehealth.simulator.gateway import Call
from ehealth.simulator.mailbox import KEPT, add, answered, is_refused, message_id, refused, set_status
from ehealth.simulator.soap import text
from ehealth.simulator.store import STANDBY, Letter, Person

PUBLICATION = "urn:be:fgov:ehealth:ehbox:publication:protocol:v3"
CONTENT = "ContentContext/Content"
LENGTHS = {"INSS": {11}, "NIHII": {8, 11}, "CBE": {10}, "EHP": {10}}
QUALITIES = {"DOCTOR", "CITIZEN", "NURSE", "DENTIST", "MIDWIFE", "PHARMACIST", "HOSPITAL", "MEDICAL_HOUSE"}
REFUSALS = {
    "801": "Message too large",
    "802": "Invalid identifier",
    "803": "Invalid quality",
    "804": "Invalid identifier type",
    "814": "Not entitled to publish to this quality",
    "816": "Digest does not match",
}


def send_message(call: Call) -> etree._Element:
    """Answers SendMessage: every recipient gets the message, or has it wait outside a full box."""
    response = answered(call, PUBLICATION, "SendMessageResponse")
    sent = call.payload.get("PublicationId")
    if sent is not None:
        response.set("SentPublicationId", sent)
    if is_refused(response):
        return response
    contexts = call.payload.findall("DestinationContext")
    recipients = [_recipient(call, context) for context in contexts]
    content, size = _content(call.payload)
    problem = next((found for found in recipients if isinstance(found, str)), "") or content
    people = [found for found in recipients if isinstance(found, Person)]
    if not problem and any(size > person.max_size for person in people):
        problem = "801"
    if problem:
        set_status(response, problem, REFUSALS[problem])
        return response
    response.set("Id", _deliver(call, people, size))
    for context in contexts:
        recipient = add(response, "Recipient")
        for name in ("Id", "Type", "Quality"):
            add(recipient, name, text(context.find(name)))
    return response


def _recipient(call: Call, context: etree._Element) -> Person | str:
    """The doctor who is meant, or the code of the refusal."""
    number, kind, quality = (text(context.find(name)) for name in ("Id", "Type", "Quality"))
    if kind not in LENGTHS:
        return "804"
    if quality not in QUALITIES:
        return "803"
    if quality != "DOCTOR":
        return "814"
    if not number.isdigit() or len(number) not in LENGTHS[kind]:
        return "802"
    for person in call.simulation.store.people():
        nihii = person.nihii11 or ""
        if person.doctor and (kind, number) in {
            ("INSS", person.ssin),
            ("NIHII", nihii),
            ("NIHII", nihii[:8]),
        }:
            return person
    return "802"


def _content(request: etree._Element) -> tuple[str, int]:
    """The code of a refusal or "", and the size of the document."""
    written = request.find(f"{CONTENT}/Document/EncryptableTextContent")
    if written is None or request.find(f"{CONTENT}/Annex") is not None:
        raise refused("only a document within the message is taken")
    octets = base64.b64decode(text(written))
    digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
    return "" if text(request.find(f"{CONTENT}/Document/Digest")) == digest else "816", len(octets)


def _deliver(call: Call, people: list[Person], size: int) -> str:
    """Puts the message in every box and in the sender's folder of what was sent; its identifier."""
    store, today, now = call.simulation.store, call.now.date(), mailbox.moment(call.now)
    (number,) = store.numbers(1)
    identifier = message_id(number)
    facts = _facts(call, people[0])
    store.put_letters([_letter(identifier, call.signer.ssin, "SENTBOX", today, size, facts)])
    for person in {person.ssin: person for person in people}.values():
        full = mailbox.used(store, person, today.isoformat()) + size > person.max_size
        facts = _facts(call, person)
        store.put_letters(
            [_letter(identifier, person.ssin, STANDBY if full else "INBOX", today, size, facts)]
        )
        store.publish(identifier, call.signer.ssin, person.ssin, now)
        if not full:
            store.receive(identifier, person.ssin, now)
    return identifier


def _letter(identifier: str, ssin: str, box: str, today: date, size: int, facts: dict[str, object]) -> Letter:
    return Letter(identifier, ssin, box, today.isoformat(), (today + KEPT).isoformat(), size, facts)


def _facts(call: Call, recipient: Person) -> dict[str, object]:
    sender = call.simulation.store.person(call.signer.ssin) or Person(call.signer.ssin)

    def said(path: str) -> str:
        return text(call.payload.find(path))

    document, specification = f"{CONTENT}/Document", "ContentContext/ContentSpecification"
    return {
        "title": said(f"{document}/Title"),
        "text": "".join(said(f"{document}/EncryptableTextContent").split()),
        "file_name": said(f"{document}/DownloadFileName"),
        "mime_type": said(f"{document}/MimeType"),
        "sender": sender.ssin,
        "sender_type": "INSS",
        "quality": "DOCTOR",
        "name": sender.last_name or "?",
        "first_name": sender.first_name,
        "recipient": recipient.ssin,
        "publication": call.payload.get("PublicationId", ""),
        "application": said(f"{specification}/ApplicationName"),
        "important": said(f"{specification}/IsImportant") in ("true", "1"),
        "encrypted": said(f"{specification}/IsEncrypted") in ("true", "1"),
        "annex": False,
    }
