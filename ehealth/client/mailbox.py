"""eHealthBox consultation v3: the state of a box and the list of what lies in it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ehealth.client import names
from ehealth.client.contracts import message
from ehealth.client.conversation import Question, Received, Trace, ask
from ehealth.client.errors import Detail, Malformed, Refused, clean
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.client.wsse import with_assertion
from ehealth.client.xml import Element, text_of

PAGE = 100
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


def box_info(
    platform: Platform, identity: Identity, assertion: Assertion, *, now: datetime, trace: Trace | None = None
) -> BoxInfo:
    """The state of the holder's own box; Refused with the service's code, or another PlatformError."""
    question = _question("getBoxInfo", "GetBoxInfo", {}, identity, assertion)
    return ask(platform, question, _box, now=now, trace=trace)


def list_messages(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    start: int = 1, end: int = PAGE, now: datetime, trace: Trace | None = None,
) -> tuple[Message, ...]:  # fmt: skip
    """Messages `start` to `end` of the holder's inbox, newest first, counted from 1, at most 100 a call.

    A message that arrives between two calls shifts the pages: the same one may come twice.
    """
    if not 1 <= start <= end < start + PAGE:
        raise ValueError("at most 100 messages, counted from 1")
    fields = {"Source": "INBOX", "StartIndex": start, "EndIndex": end}
    question = _question("getMessagesList", "GetMessagesList", fields, identity, assertion)
    return ask(platform, question, _messages, now=now, trace=trace)


def _question(
    operation: str, name: str, fields: dict[str, Any], identity: Identity, assertion: Assertion
) -> Question:
    def build(moment: datetime) -> bytes:
        return with_assertion(message("mailbox.wsdl", operation, **fields), identity, assertion, moment)

    due = f"{{{names.MAILBOX}}}{name}Response"
    return Question("mailbox", operation, f"{names.MAILBOX}:{operation}", due, build)


def _accept(answer: Received) -> Element:
    code = text_of(answer.element, "Status/Code")
    if code != _SUCCESS:
        raise Refused(code, [Detail(code, message=clean(text_of(answer.element, "Status/Message")))])
    return answer.element


def _box(answer: Received) -> BoxInfo:
    element = _accept(answer)
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
    return tuple(_message(element) for element in _accept(answer).findall("Message"))


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
