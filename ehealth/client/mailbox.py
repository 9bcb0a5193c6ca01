"""eHealthBox consultation v3: the state of a box, what lies in it, one message whole, its end."""

from collections.abc import Iterable
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
Folder = Literal["INBOX", "SENTBOX", "BININBOX", "BINSENTBOX"]
_SUCCESS = "100"


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
class Annex:
    """A file of a message; title and content are sealed when the message is encrypted."""

    title: bytes = field(repr=False)
    file_name: str
    mime_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class FullMessage:
    """A message with its document and annexes; contents are sealed when it is encrypted."""

    message_id: str
    publication_id: str
    sender_id: str
    title: str
    file_name: str
    mime_type: str
    content: bytes = field(repr=False)
    annexes: tuple[Annex, ...]
    content_type: str
    encrypted: bool


@dataclass(frozen=True)
class Acknowledgment:
    """How far a message came with one recipient; None for what did not happen yet."""

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
    source: Folder = "INBOX", start: int = 1, end: int = PAGE, now: datetime, trace: Trace | None = None,
) -> tuple[Message, ...]:  # fmt: skip
    """Messages `start` to `end` of a folder of the holder's box, newest first, counted from 1, at most 100.

    A message that arrives between two calls shifts the pages: the same one may come twice.
    """
    if not 1 <= start <= end < start + PAGE:
        raise ValueError("at most 100 messages, counted from 1")
    fields = {"Source": source, "StartIndex": start, "EndIndex": end}
    question = _question("getMessagesList", "GetMessagesList", fields, identity, assertion)
    return ask(platform, question, _messages, now=now, trace=trace)


def full_message(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    source: Literal["INBOX", "SENTBOX"] = "INBOX", message_id: str, now: datetime, trace: Trace | None = None,
) -> FullMessage:  # fmt: skip
    """One message whole, at most `max_content` bytes; for its sender it counts as read from now on."""

    def read(answer: Received) -> FullMessage:
        return _full(answer, message_id)

    fields = {"Source": source, "MessageId": message_id}
    question = _question("getFullMessage", "GetFullMessage", fields, identity, assertion, in_parts=True)
    return ask(platform, question, read, now=now, trace=trace)


def acknowledgments(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    message_id: str, now: datetime, trace: Trace | None = None,
) -> tuple[Acknowledgment, ...]:  # fmt: skip
    """What is known of a message that the holder sent, for its first 100 recipients."""
    fields = {"MessageId": message_id, "StartIndex": 1, "EndIndex": PAGE}
    operation, name = "getMessageAcknowledgmentsStatus", "GetMessageAcknowledgmentsStatus"
    question = _question(operation, name, fields, identity, assertion)
    return ask(platform, question, _acknowledged, now=now, trace=trace)


def move(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    source: Folder, destination: Folder, message_ids: Iterable[str], now: datetime,
    trace: Trace | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Put at most 100 messages in another folder; the identifiers that the service says it moved.

    A fault may mean that some were moved: the service does what it can and names the others.
    """
    wanted = _some(message_ids)
    fields = {"Source": source, "Destination": destination, "MessageId": wanted}
    question = _question("moveMessage", "MoveMessage", fields, identity, assertion)
    return ask(platform, question, lambda answer: _done(answer, wanted), now=now, trace=trace)


def delete(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    source: Folder, message_ids: Iterable[str], now: datetime, trace: Trace | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Destroy at most 100 messages of a folder for good; answers and faults as those of `move`."""
    wanted = _some(message_ids)
    question = _question(
        "deleteMessage", "DeleteMessage", {"Source": source, "MessageId": wanted}, identity, assertion
    )
    return ask(platform, question, lambda answer: _done(answer, wanted), now=now, trace=trace)


def _some(message_ids: Iterable[str]) -> list[str]:
    wanted = list(message_ids)
    if not 1 <= len(wanted) <= PAGE:
        raise ValueError("from 1 to 100 messages")
    return wanted


def _question(
    operation: str, name: str, fields: dict[str, Any], identity: Identity, assertion: Assertion,
    *, in_parts: bool = False,
) -> Question:  # fmt: skip
    def build(moment: datetime) -> bytes:
        return with_assertion(message("mailbox.wsdl", operation, **fields), identity, assertion, moment)

    due = f"{{{names.MAILBOX}}}{name}Response"
    action = f"{names.MAILBOX}:{operation}"
    return Question("mailbox", operation, action, due, build, in_parts=in_parts)


def accept(answer: Received) -> Element:
    """The answer of a service of the eHealthBox that says success; Refused with its code otherwise."""
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


def _full(answer: Received, message_id: str) -> FullMessage:
    element = accept(answer)
    found = element.find("Message")
    if found is None:
        raise Malformed("no message")
    if found.get("MessageId") != message_id:
        raise NotAuthentic("another message")
    context = found.find("ContentContext")
    document = context.find("Content/Document")
    return FullMessage(
        message_id=message_id,
        publication_id=clean(text_of(found, "PublicationId")),
        sender_id=clean(text_of(element, "Sender/Id")),
        title=clean(text_of(document, "Title")),
        file_name=clean(text_of(document, "DownloadFileName")),
        mime_type=clean(text_of(document, "MimeType")),
        content=_content(document, answer),
        annexes=tuple(_annex(annex, answer) for annex in context.findall("Content/Annex")),
        content_type=text_of(context, "ContentSpecification/ContentType"),
        encrypted=_flag(text_of(context, "ContentSpecification/IsEncrypted")),
    )


def _annex(element: Element, answer: Received) -> Annex:
    return Annex(
        title=octets_of(element.find("EncryptableTitle")),
        file_name=clean(text_of(element, "DownloadFileName")),
        mime_type=clean(text_of(element, "MimeType")),
        content=_content(element, answer),
    )


def _content(element: Element, answer: Received) -> bytes:
    """Within the message, or in a part of its own."""
    written = element.find("EncryptableTextContent")
    if written is not None:
        return octets_of(written)
    return answer.attachments.take(text_of(element, "EncryptableBinaryContent"))


def _acknowledged(answer: Received) -> tuple[Acknowledgment, ...]:
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
    found = text_of(row, name)
    return instant(found) if found else None


def _done(answer: Received, wanted: list[str]) -> tuple[str, ...]:
    done = tuple("".join(found.itertext()) for found in accept(answer).findall("MessageId"))
    if not set(done) <= set(wanted):
        raise NotAuthentic("other messages")
    return done


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
