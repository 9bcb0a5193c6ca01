"""eHealthBox publication v3: a short document from a doctor to the doctor's own box."""

import hashlib
import secrets
import string
from dataclasses import dataclass
from datetime import datetime

from ehealth.client import names
from ehealth.client.contracts import message
from ehealth.client.conversation import Question, Received, Trace, ask
from ehealth.client.errors import Malformed, NotAuthentic
from ehealth.client.mailbox import accept
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.client.signatures import b64
from ehealth.client.wsse import with_assertion
from ehealth.client.xml import Element

FILE_NAME, MIME_TYPE = "test.txt", "text/plain"
_APPLICATION = "medisetup"
_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 13
_LONGEST_TITLE, _LARGEST = 400, 64 * 1024


@dataclass(frozen=True)
class Sent:
    """What the service took: the identifier it gave the message, and ours."""

    message_id: str
    publication_id: str


def send(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    title: str, content: bytes, now: datetime, trace: Trace | None = None,
) -> Sent:  # fmt: skip
    """Send a text, unsealed, to the box of the very person, with every receipt.

    It may take a moment to arrive. Refused with the service's code, or another PlatformError; after most of
    them nobody knows whether the message was taken.
    """
    if not 1 <= len(title) <= _LONGEST_TITLE or len(content) > _LARGEST:
        raise ValueError("a short text with a title")
    publication_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))

    def build(moment: datetime) -> bytes:
        envelope = _envelope(identity.ssin, publication_id, title, content)
        return with_assertion(envelope, identity, assertion, moment)

    def read(answer: Received) -> Sent:
        return _sent(answer, publication_id)

    action, due = f"{names.PUBLICATION}:sendMessage", f"{{{names.PUBLICATION}}}SendMessageResponse"
    question = Question("publication", "sendMessage", action, due, build, reference=publication_id)
    return ask(platform, question, read, now=now, trace=trace)


def _envelope(ssin: str, publication_id: str, title: str, content: bytes) -> Element:
    document = {
        "Title": title,
        "EncryptableTextContent": content,
        "DownloadFileName": FILE_NAME,
        "MimeType": MIME_TYPE,
        "Digest": b64(hashlib.sha256(content).digest()),
    }
    specification = {
        "ApplicationName": _APPLICATION,
        "ContentType": "DOCUMENT",
        "IsImportant": False,
        "IsEncrypted": False,
        "PublicationReceipt": True,
        "ReceivedReceipt": True,
        "ReadReceipt": True,
    }
    return message(
        "publication.wsdl",
        "sendMessage",
        PublicationId=publication_id,
        DestinationContext=[{"Id": ssin, "Type": "INSS", "Quality": "DOCTOR"}],
        ContentContext={"Content": {"Document": document}, "ContentSpecification": specification},
    )


def _sent(answer: Received, publication_id: str) -> Sent:
    element = accept(answer)
    if element.get("SentPublicationId", publication_id) != publication_id:
        raise NotAuthentic("answer to another message")
    if element.find("Recipient") is None:
        raise Malformed("no recipient")
    return Sent(element.get("Id", ""), publication_id)
