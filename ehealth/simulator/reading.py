"""The eHealthBox, consultation v3: one message whole, and what became of a message that was sent."""

import base64
from collections.abc import Iterator

from lxml import etree

from ehealth.simulator import mailbox
from ehealth.simulator.gateway import Call
from ehealth.simulator.mailbox import BOX, add, answered, is_refused, refused
from ehealth.simulator.soap import WithParts, new_id, text
from ehealth.simulator.store import Letter


def get_full_message(call: Call) -> etree._Element | WithParts:
    """Answers GetFullMessage: a short text within the message, anything else as parts beside it."""
    response = answered(call, BOX, "GetFullMessageResponse")
    if is_refused(response):
        return response
    store, owner, today = call.simulation.store, call.signer.ssin, call.now.date().isoformat()
    source, identifier = (text(call.payload.find(name)) for name in ("Source", "MessageId"))
    letter = store.letter(owner, source, today, identifier)
    if letter is None:
        raise refused(f"no such message in {source}: {identifier}")
    if source == "INBOX":
        store.see(letter.id, owner, mailbox.moment(call.now))
    mailbox.sender(response, letter)
    parts = _message(response, letter)
    mailbox.information(response, letter)
    return WithParts(response, parts) if parts else response


def _message(parent: etree._Element, letter: Letter) -> dict[str, bytes]:
    facts = letter.facts
    message = add(parent, "Message")
    message.set("MessageId", letter.id)
    if facts.get("publication"):
        add(message, "PublicationId", facts["publication"])
    mailbox.box_id(add(message, "DestinationContext"), facts.get("recipient", letter.ssin))
    context = add(message, "ContentContext")
    parts = dict(_contents(add(context, "Content"), letter))
    mailbox.specification(context, letter)
    return parts


def _contents(content: etree._Element, letter: Letter) -> Iterator[tuple[str, bytes]]:
    document = add(content, "Document")
    add(document, "Title", letter.facts["title"])
    if "text" in letter.facts:
        add(document, "EncryptableTextContent", letter.facts["text"])
        _file(document, letter.facts["file_name"], letter.facts["mime_type"])
        return
    annexed = letter.size // 4 if letter.facts["annex"] else 0
    yield _part(document, b"\0\r\n--%s " % letter.id.encode(), letter.size - annexed)
    _file(document, "document.txt", "text/plain")
    if annexed:
        annex = add(content, "Annex")
        add(annex, "EncryptableTitle", base64.b64encode(b"sealed title").decode())
        yield _part(annex, b"annex of %s " % letter.id.encode(), annexed)
        _file(annex, "annex.bin", "application/octet-stream")


def _part(parent: etree._Element, pattern: bytes, size: int) -> tuple[str, bytes]:
    name = f"{new_id()}@simulator"
    add(parent, "EncryptableBinaryContent", f"cid:{name}")
    return name, (pattern * (size // len(pattern) + 1))[:size]


def _file(parent: etree._Element, name: str, mime_type: str) -> None:
    add(parent, "DownloadFileName", name)
    add(parent, "MimeType", mime_type)


def get_acknowledgments_status(call: Call) -> etree._Element:
    """Answers GetMessageAcknowledgmentsStatus, to the sender of the message alone."""
    response = answered(call, BOX, "GetMessageAcknowledgmentsStatusResponse")
    if is_refused(response):
        return response
    first, last = mailbox.page(call)
    identifier = text(call.payload.find("MessageId"))
    rows = call.simulation.store.receipts(identifier, call.signer.ssin)
    if not rows:
        raise refused(f"no message of this sender: {identifier}")
    listed = rows[first - 1 : last]
    if listed:
        status = add(response, "AcknowledgmentsStatus")
        for recipient, *moments in listed:
            row = add(status, "Row")
            mailbox.box_id(add(row, "Recipient"), recipient)
            for name, moment in zip(("Published", "Received", "Read"), moments, strict=True):
                if moment:
                    add(row, name, moment)
    return response
