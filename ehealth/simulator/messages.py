"""The eHealthBox, one message at a time: read, acknowledged, moved, deleted, and published to oneself."""

import base64
import hashlib
from datetime import datetime
from typing import Any

from lxml import etree

from ehealth.simulator.gateway import Call
from ehealth.simulator.mailbox import BOX, add, box_id, expiry, response, sender
from ehealth.simulator.soap import Refusal, new_id, text
from ehealth.simulator.store import Person

PUBLICATION = "urn:be:fgov:ehealth:ehbox:publication:protocol:v3"
LARGEST_MESSAGE = 10 * 1024 * 1024
UNKNOWN, BAD_DIGEST, NOT_ENTITLED, TOO_LARGE = "802", "816", "814", "801"
ANNEX = b"%PDF-1.4 simulated annex"
SEALED = b"\x30\x80 sealed for the holder of the encryption key"


def get_full_message(call: Call) -> etree._Element:
    """Answers GetFullMessage; the sender's receipt then says READ. Annexes travel as attachments."""
    answer = response(call, "GetFullMessageResponse")
    if answer.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return answer
    box, identifier = text(call.payload.find("Source")), text(call.payload.find("MessageId"))
    found = call.simulation.store.message(call.signer.ssin, box, identifier)
    if found is None:
        raise _unknown([identifier])
    call.simulation.store.note_read(identifier, call.now.isoformat())
    sender(answer, found)
    _message(call, answer, found)
    info = add(answer, "MessageInfo")
    add(info, "PublicationDate", found["published"])
    add(info, "ExpirationDate", expiry(found["published"]).isoformat())
    add(info, "Size", str(found["size"]))
    return answer


def _message(call: Call, answer: etree._Element, found: dict[str, Any]) -> None:
    message = add(answer, "Message")
    message.set("MessageId", found["id"])
    if found.get("publication"):
        add(message, "PublicationId", found["publication"])
    box_id(message, "DestinationContext", call.signer.ssin)
    context = add(message, "ContentContext")
    content = add(context, "Content")
    document = add(content, "Document")
    add(document, "Title", found["title"])
    octets = base64.b64decode(found["content"]) if "content" in found else SEALED
    add(document, "EncryptableTextContent", base64.b64encode(octets).decode())
    add(document, "DownloadFileName", "message.txt")
    add(document, "MimeType", "text/plain")
    if found["annex"]:
        annex = add(content, "Annex")
        add(annex, "EncryptableTitle", base64.b64encode(b"annexe").decode())
        name = f"{new_id()[1:]}@simulation.invalid"
        add(annex, "EncryptableBinaryContent", f"cid:{name}")
        add(annex, "DownloadFileName", "annexe.pdf")
        add(annex, "MimeType", "application/pdf")
        call.attachments[name] = ANNEX
    specification = add(context, "ContentSpecification")
    if found["application"]:
        add(specification, "ApplicationName", found["application"])
    add(specification, "ContentType", "DOCUMENT")
    add(specification, "IsImportant", "true" if found["important"] else "false")
    add(specification, "IsEncrypted", "false" if "content" in found else "true")


def _unknown(identifiers: list[str]) -> Refusal:
    return Refusal(UNKNOWN, f"Unknown message: {', '.join(identifiers)}", kind="BusinessError")


def get_acknowledgments(call: Call) -> etree._Element:
    """Answers GetMessageAcknowledgmentsStatus for a message of the sent box."""
    answer = response(call, "GetMessageAcknowledgmentsStatusResponse")
    if answer.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return answer
    identifier = text(call.payload.find("MessageId"))
    if call.simulation.store.message(call.signer.ssin, "SENTBOX", identifier) is None:
        raise _unknown([identifier])
    status = None
    for recipient, published, received, read in call.simulation.store.receipts(identifier):
        status = add(answer, "AcknowledgmentsStatus") if status is None else status
        row = add(status, "Row")
        box_id(row, "Recipient", recipient)
        for name, moment in (("Published", published), ("Received", received), ("Read", read)):
            if moment:
                add(row, name, moment)
    return answer


def move_message(call: Call) -> etree._Element:
    """Answers MoveMessage: the good identifiers are moved even when others are refused."""
    source, destination = text(call.payload.find("Source")), text(call.payload.find("Destination"))
    if {source, destination} not in ({"INBOX", "BININBOX"}, {"SENTBOX", "BINSENTBOX"}):
        raise Refusal("SOA-03007", "a message moves between a box and its bin", kind="BusinessError")
    return _each(call, "MoveMessageResponse", destination)


def delete_message(call: Call) -> etree._Element:
    """Answers DeleteMessage, which is final; what waited outside a full box comes in when there is room."""
    answer = _each(call, "DeleteMessageResponse", "")
    person = call.simulation.store.person(call.signer.ssin) or Person(call.signer.ssin)
    call.simulation.store.let_in(person.ssin, person.max_size)
    return answer


def _each(call: Call, name: str, destination: str) -> etree._Element:
    """Move the messages named, or delete them without a destination."""
    answer = response(call, name)
    if answer.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return answer
    source = text(call.payload.find("Source"))
    asked = [text(found) for found in call.payload.findall("MessageId")]
    done = call.simulation.store.move(call.signer.ssin, source, destination, asked)
    bad = [identifier for identifier in asked if identifier not in done]
    if bad:
        raise _unknown(bad)
    for identifier in done:
        add(answer, "MessageId", identifier)
    return answer


def send_message(call: Call) -> etree._Element:
    """Answers SendMessage: to a doctor's box by national number; a full box keeps it waiting outside."""
    answer = response(call, "SendMessageResponse", namespace=PUBLICATION)
    if answer.find("Status/Code").text != "100":  # type: ignore[union-attr]
        return answer
    octets = _document(call)
    publication = call.payload.get("PublicationId") or new_id()[1:14]
    answer.set("SentPublicationId", publication)
    sent = _fresh_id()
    rows = [_row(call, sent, call.signer.ssin, "SENTBOX", octets, publication)]
    delivered = []
    for context in call.payload.findall("DestinationContext"):
        person = _recipient(call, context)
        box = "INBOX" if _fits(call, person, len(octets)) else "STANDBY"
        identifier = _fresh_id()
        rows.append(_row(call, identifier, person.ssin, box, octets, publication))
        delivered.append((sent, identifier, person.ssin, box == "INBOX"))
        box_id(answer, "Recipient", person.ssin)
    call.simulation.store.put_messages(rows)
    call.simulation.store.put_receipts(delivered, call.now.isoformat())
    return answer


def _fresh_id() -> str:
    return "SIM" + new_id()[1:11]


def _document(call: Call) -> bytes:
    document = call.payload.find("ContentContext/Content/Document")
    inline = None if document is None else document.find("EncryptableTextContent")
    if inline is None:
        raise Refusal("SOA-03007", "only text within the message is understood", kind="BusinessError")
    octets = base64.b64decode(text(inline))
    if len(octets) > LARGEST_MESSAGE:
        raise Refusal(TOO_LARGE, "Message too large", kind="BusinessError")
    if base64.b64encode(hashlib.sha256(octets).digest()).decode() != text(document.find("Digest")):  # type: ignore[union-attr]
        raise Refusal(BAD_DIGEST, "Digest does not match", kind="BusinessError")
    return octets


def _recipient(call: Call, context: etree._Element) -> Person:
    kind, number, quality = (text(context.find(name)) for name in ("Type", "Id", "Quality"))
    person = call.simulation.store.person(number)
    if quality != "DOCTOR":
        raise Refusal(NOT_ENTITLED, "Not entitled to publish to this quality", kind="BusinessError")
    if kind != "INSS" or person is None:
        raise Refusal(UNKNOWN, "Invalid identifier", kind="BusinessError")
    return person


def _fits(call: Call, person: Person, size: int) -> bool:
    return call.simulation.store.box_size(person.ssin) + size <= person.max_size


def _row(
    call: Call, identifier: str, ssin: str, box: str, octets: bytes, publication: str
) -> tuple[str, str, str, str, int, dict[str, Any]]:
    me = call.simulation.store.person(call.signer.ssin) or Person(call.signer.ssin)
    specification = call.payload.find("ContentContext/ContentSpecification")
    facts = {
        "title": text(call.payload.find("ContentContext/Content/Document/Title")),
        "quality": "DOCTOR",
        "sender": (me.nihii11 or "")[:8] or me.ssin,
        "name": me.last_name or "TEST",
        "application": "",
        "important": text(specification.find("IsImportant")) == "true",  # type: ignore[union-attr]
        "annex": False,
        "content": base64.b64encode(octets).decode(),
        "publication": publication,
    }
    published: datetime = call.now
    return identifier, ssin, box, published.date().isoformat(), len(octets), facts


OPERATIONS = {
    f"{{{BOX}}}GetFullMessageRequest": ("getFullMessage", get_full_message),
    f"{{{BOX}}}GetMessageAcknowledgmentsStatusRequest": (
        "getMessageAcknowledgmentsStatus",
        get_acknowledgments,
    ),
    f"{{{BOX}}}MoveMessageRequest": ("moveMessage", move_message),
    f"{{{BOX}}}DeleteMessageRequest": ("deleteMessage", delete_message),
}
