"""eHealthBox publication v3: a short message to one's own box, with receipts."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ehealth.client import names
from ehealth.client.contracts import message
from ehealth.client.conversation import Question, Received, Trace, ask
from ehealth.client.errors import NotAuthentic
from ehealth.client.mailbox import accept
from ehealth.client.platform import Assertion, Identity, Platform
from ehealth.client.signatures import b64
from ehealth.client.wsse import with_assertion

MIME_TYPE = "text/plain"


def send_to_oneself(
    platform: Platform, identity: Identity, assertion: Assertion, *,
    publication_id: str, title: str, content: bytes, now: datetime, trace: Trace | None = None,
) -> None:  # fmt: skip
    """Publish an unencrypted text of a few lines in the holder's own box as a doctor.

    `publication_id`: 1 to 13 characters of our choice, which the message keeps. PlatformError otherwise;
    after Unreachable or TimedOut with `sent` the message may be there all the same.
    """

    def build(moment: datetime) -> bytes:
        fields = _fields(identity.ssin, title, content)
        envelope = message("publication.wsdl", "sendMessage", PublicationId=publication_id, **fields)
        return with_assertion(envelope, identity, assertion, moment)

    def read(answer: Received) -> None:
        if accept(answer).get("SentPublicationId", publication_id) != publication_id:
            raise NotAuthentic("answer to another request")

    due = f"{{{names.PUBLICATION}}}SendMessageResponse"
    action = f"{names.PUBLICATION}:sendMessage"
    question = Question("publication", "sendMessage", action, due, build, reference=publication_id)
    ask(platform, question, read, now=now, trace=trace)


def _fields(ssin: str, title: str, content: bytes) -> Mapping[str, Any]:
    document = {
        "Title": title,
        "EncryptableTextContent": content,
        "DownloadFileName": "test.txt",
        "MimeType": MIME_TYPE,
        "Digest": b64(hashlib.sha256(content).digest()),
    }
    specification = {
        "ContentType": "DOCUMENT",
        "IsImportant": False,
        "IsEncrypted": False,
        "PublicationReceipt": True,
        "ReceivedReceipt": True,
        "ReadReceipt": True,
    }
    return {
        "DestinationContext": [{"Id": ssin, "Type": "INSS", "Quality": "DOCTOR"}],
        "ContentContext": {"Content": {"Document": document}, "ContentSpecification": specification},
    }
