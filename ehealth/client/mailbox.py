"""eHealthBox consultation v3: the state of a box, the list of what lies in it, and one message at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from ehealth.client import names
from ehealth.client.blobs import octets_of
from ehealth.client.contracts import message
from ehealth.client.conversation import Question, Received, Trace, ask
from ehealth.client.errors import Detail, Malformed, NotAuthentic, Refused, clean
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.client.wsse import with_assertion
from ehealth.client.xml import Element, instant, text_of

PAGE = 100
Box = Literal["INBOX", "SENTBOX", "BININBOX", "BINSENTBOX"]
_SUCCESS = "100"
_ATTACHED = "cid:"


@dataclass(frozen=True)
class BoxInfo:
    """A box: whose it is, messages waiting outside because it is full, sizes in bytes."""

    box_id: str
    box_type: str
    quality: str
    standby: int
    current_size: int
    max_size: int


@dataclass(frozen=True)
class Message:
    """One line of the list; texts of the sender are cleaned of control characters, never interpreted. Size in
    bytes.
    """

    message_id: str
    sender_name: str
    sender_id: str
    sender_type: str
    sender_quality: str
    title: str
    mime_type: str
    published: date
    expires: date
    size: int
    content_type: str
    important: bool
    encrypted: bool
    has_annex: bool


@dataclass(frozen=True)
class FullMessage:
    """One message with its document; `content` as sent, sealed when the sender encrypted it."""

    message_id: str
    publication_id: str
    title: str
    mime_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Acknowledgment:
    """How far a message that was sent came at one recipient."""

    recipient_id: str
    published: datetime | None
    received: datetime | None
    read: datetime | None


def box_info(
    platform: Platform, identity: Identity, assertion: Assertion, *, now: datetime, trace: Trace | None = None
) -> BoxInfo:
    """The state of the holder's own box; Refused with the service's code, or another PlatformError."""
    question = _question("getBoxInfo", "GetBoxInfo", {}, identity, assertion)
    return ask(platform, question, _box, now=now, trace=trace)


def list_messages(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    source: Box = "INBOX", start: int = 1, end: int = PAGE, now: datetime, trace: Trace | None = None,
) -> tuple[Message, ...]:  # fmt: skip
    """Messages `start` to `end` of the holder's box, newest first, counted from 1, at most 100 a call.

    A message that arrives between two calls shifts the pages: the same one may come twice.
    """
    if not 1 <= start <= end < start + PAGE:
        raise ValueError("at most 100 messages, counted from 1")
    fields = {"Source": source, "StartIndex": start, "EndIndex": end}
    question = _question("getMessagesList", "GetMessagesList", fields, identity, assertion)
    return ask(platform, question, _messages, now=now, trace=trace)


def full_message(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    message_id: str, now: datetime, trace: Trace | None = None,
) -> FullMessage:  # fmt: skip
    """One message of the inbox; to its sender it then counts as read."""
    fields = {"Source": "INBOX", "MessageId": message_id}
    question = _question("getFullMessage", "GetFullMessage", fields, identity, assertion, attachments=True)

    def read(answer: Received) -> FullMessage:
        return _full(answer, message_id)

    return ask(platform, question, read, now=now, trace=trace)


def acknowledgments(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    message_id: str, now: datetime, trace: Trace | None = None,
) -> tuple[Acknowledgment, ...]:  # fmt: skip
    """How far a message of the sent box came, per recipient."""
    operation, name = "getMessageAcknowledgmentsStatus", "GetMessageAcknowledgmentsStatus"
    fields = {"MessageId": message_id, "StartIndex": 1, "EndIndex": PAGE}
    question = _question(operation, name, fields, identity, assertion)
    return ask(platform, question, _rows, now=now, trace=trace)


def move(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    source: Box, destination: Box, message_ids: Sequence[str], now: datetime, trace: Trace | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Move at most 100 messages to another of the holder's boxes; the identifiers that were moved."""
    fields = {"Source": source, "Destination": destination, "MessageId": list(message_ids)}
    question = _question("moveMessage", "MoveMessage", fields, identity, assertion)
    return ask(platform, question, _identifiers, now=now, trace=trace)


def delete(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    source: Box, message_ids: Sequence[str], now: datetime, trace: Trace | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Delete at most 100 messages for good; the identifiers that were deleted."""
    fields = {"Source": source, "MessageId": list(message_ids)}
    question = _question("deleteMessage", "DeleteMessage", fields, identity, assertion)
    return ask(platform, question, _identifiers, now=now, trace=trace)


def _question(
    operation: str, name: str, fields: dict[str, Any], identity: Identity, assertion: Assertion,
    *, attachments: bool = False,
) -> Question:  # fmt: skip
    def build(moment: datetime) -> bytes:
        return with_assertion(message("mailbox.wsdl", operation, **fields), identity, assertion, moment)

    due = f"{{{names.MAILBOX}}}{name}Response"
    action = f"{names.MAILBOX}:{operation}"
    return Question("mailbox", operation, action, due, build, attachments=attachments)


def accept(answer: Received) -> Element:
    """The element of an answer whose status is success; Refused with its code otherwise."""
    code = text_of(answer.element, "Status/Code")
    if code != _SUCCESS:
        raise Refused(code, [Detail(code, message=clean(text_of(answer.element, "Status/Message")))])
    return answer.element


def _box(answer: Received) -> BoxInfo:
    element = accept(answer)
    if element.find("BoxId") is None:
        raise Malformed("no box")
    return BoxInfo(
        box_id=text_of(element, "BoxId/Id"),
        box_type=text_of(element, "BoxId/Type"),
        quality=text_of(element, "BoxId/Quality"),
        standby=int(text_of(element, "NbrMessagesInStandBy")),
        current_size=int(text_of(element, "CurrentSize")),
        max_size=int(text_of(element, "MaxSize")),
    )


def _messages(answer: Received) -> tuple[Message, ...]:
    return tuple(_message(element) for element in accept(answer).findall("Message"))


def _full(answer: Received, message_id: str) -> FullMessage:
    found = accept(answer).find("Message")
    if found is None:
        raise Malformed("no message")
    if found.get("MessageId") != message_id:
        raise NotAuthentic("another message")
    document = found.find("ContentContext/Content/Document")
    return FullMessage(
        message_id=message_id,
        publication_id=clean(text_of(found, "PublicationId")),
        title=clean(text_of(document, "Title")),
        mime_type=clean(text_of(document, "MimeType")),
        content=_content(document, answer),
    )


def _content(document: Element, answer: Received) -> bytes:
    """What stands in the message itself, or the one attachment it names."""
    inline = document.find("EncryptableTextContent")
    if inline is not None:
        return octets_of(inline)
    pointer = text_of(document, "EncryptableBinaryContent")
    attached = answer.attachments.get(pointer.removeprefix(_ATTACHED))
    if not pointer.startswith(_ATTACHED) or attached is None:
        raise Malformed("attachment")
    return attached


def _rows(answer: Received) -> tuple[Acknowledgment, ...]:
    return tuple(
        Acknowledgment(
            recipient_id=clean(text_of(row, "Recipient/Id")),
            published=_moment(row, "Published"),
            received=_moment(row, "Received"),
            read=_moment(row, "Read"),
        )
        for row in accept(answer).findall("AcknowledgmentsStatus/Row")
    )


def _moment(row: Element, name: str) -> datetime | None:
    written = text_of(row, name)
    return instant(written) if written else None


def _identifiers(answer: Received) -> tuple[str, ...]:
    return tuple(found.text for found in accept(answer).findall("MessageId"))


def _message(element: Element) -> Message:
    def text(path: str) -> str:
        return clean(text_of(element, path))

    return Message(
        message_id=text("MessageId"),
        sender_name=" ".join(filter(None, (text("Sender/FirstName"), text("Sender/Name")))),
        sender_id=text("Sender/Id"),
        sender_type=text("Sender/Type"),
        sender_quality=text("Sender/Quality"),
        title=text("ContentInfo/Title"),
        mime_type=text("ContentInfo/MimeType"),
        published=_day(text("MessageInfo/PublicationDate")),
        expires=_day(text("MessageInfo/ExpirationDate")),
        size=_size(text("MessageInfo/Size")),
        content_type=text("ContentSpecification/ContentType"),
        important=_flag(text("ContentSpecification/IsImportant")),
        encrypted=_flag(text("ContentSpecification/IsEncrypted")),
        has_annex=_flag(text("ContentInfo/HasAnnex")),
    )


def _day(text: str) -> date:
    """An xs:date, whose zone, if any, changes nothing here."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise Malformed("date") from error


def _size(text: str) -> int:
    """The contract says string, the service writes a number of bytes."""
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Malformed("size")
    return int(text)


def _flag(text: str) -> bool:
    return text in ("true", "1")
