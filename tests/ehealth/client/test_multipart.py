"""Answers with attachments: what is unpacked, and what is refused before anything is read in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ehealth.client import mailbox, names
from ehealth.client.errors import Malformed, NotAuthentic, PlatformError
from ehealth.client.multipart import MOST_PARTS, unpack
from tests.ehealth.client import parties
from tests.ehealth.client.servers import XML, answering
from tests.ehealth.client.test_conversation import SUCCESS, soap

TYPE = 'multipart/related; type="text/xml"; start="<root@x>"; boundary="=_b"'
IDENTIFIER = "16000000AbC01"


def part(name: str, content: bytes, *, kind: str = "application/octet-stream", more: str = "") -> bytes:
    head = f"--=_b\r\nContent-Type: {kind}\r\nContent-ID: <{name}>\r\n{more}\r\n"
    return head.encode() + content + b"\r\n"


def full(content: str, identifier: str = IDENTIFIER) -> bytes:
    """The envelope of a message whose document's bytes are `content`."""
    sender = "<Id>71000012</Id><Type>NIHII</Type><Quality>HOSPITAL</Quality><Name>TEST</Name>"
    owner = "<Id>84011012387</Id><Type>INSS</Type><Quality>DOCTOR</Quality>"
    file = "<DownloadFileName>t.txt</DownloadFileName><MimeType>text/plain</MimeType>"
    document = f"<Title>Test</Title>{content}{file}"
    flags = (
        "<ContentType>DOCUMENT</ContentType><IsImportant>false</IsImportant><IsEncrypted>false</IsEncrypted>"
    )
    days = "<PublicationDate>2026-01-14</PublicationDate><ExpirationDate>2026-07-14</ExpirationDate>"
    return soap(
        f'<c:GetFullMessageResponse xmlns:c="{names.MAILBOX}">{SUCCESS}<Sender>{sender}</Sender>'
        f'<Message MessageId="{identifier}"><PublicationId>P1</PublicationId>'
        f"<DestinationContext>{owner}</DestinationContext><ContentContext><Content><Document>{document}"
        f"</Document></Content><ContentSpecification>{flags}</ContentSpecification></ContentContext></Message>"
        f"<MessageInfo>{days}<Size>3</Size></MessageInfo></c:GetFullMessageResponse>"
    )


POINTER = full("<EncryptableBinaryContent>cid:a@x</EncryptableBinaryContent>")
INLINE = full("<EncryptableTextContent>Ym9uam91cg==</EncryptableTextContent>")
ROOT = part("root@x", POINTER, kind="text/xml")
GOOD = ROOT + part("a@x", b"bon\r\njour") + b"--=_b--\r\n"


def test_an_attachment_is_given_octet_by_octet() -> None:
    found = unpack(TYPE, GOOD)
    assert (found.root, dict(found.attachments)) == (POINTER, {"a@x": b"bon\r\njour"})
    packed = (
        ROOT + part("a@x", b"Ym9u\r\nam91cg==", more="Content-Transfer-Encoding: base64\r\n") + b"--=_b--"
    )
    assert unpack(TYPE, packed).attachments["a@x"] == b"bonjour"


HOSTILE: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/related", GOOD),
    "an endless boundary": (f'multipart/related; boundary="{"b" * 200}"', GOOD),
    "a boundary with a line end": ('multipart/related; boundary="a\r\nb"', GOOD),
    "no part": (TYPE, b"--=_b--\r\n"),
    "nothing": (TYPE, b""),
    "cut short": (TYPE, GOOD[:-8]),
    "text before": (TYPE, b"hello\r\n" + GOOD),
    "text behind the end in the same line": (TYPE, GOOD.rstrip() + b"x"),
    "too many parts": (
        TYPE,
        ROOT + b"".join(part(f"{n}@x", b"") for n in range(MOST_PARTS)) + b"--=_b--",
    ),
    "a part twice": (TYPE, ROOT + part("a@x", b"1") + part("a@x", b"2") + b"--=_b--"),
    "a part without a name": (TYPE, ROOT + part("", b"1") + b"--=_b--"),
    "a root elsewhere": (TYPE, part("a@x", b"1") + ROOT + b"--=_b--"),
    "a part within a part": (
        TYPE,
        ROOT + part("a@x", b"1", kind="multipart/mixed; boundary=c") + b"--=_b--",
    ),
    "a part without a head": (TYPE, ROOT + b"--=_b\r\nbonjour\r\n--=_b--"),
    "an endless head": (TYPE, ROOT + part("a@x", b"1", more=f"X: {'y' * 9000}\r\n") + b"--=_b--"),
    "an unknown packing": (
        TYPE,
        ROOT + part("a@x", b"1", more="Content-Transfer-Encoding: uuencode\r\n") + b"--=_b--",
    ),
    "base64 that is none": (
        TYPE,
        ROOT + part("a@x", b"$$$", more="Content-Transfer-Encoding: base64\r\n") + b"--=_b--",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_body_that_is_no_flat_closed_small_one_is_malformed(case: str) -> None:
    with pytest.raises(Malformed):
        unpack(*HOSTILE[case])


def ask(kind: str, body: bytes) -> mailbox.FullMessage:
    with answering(lambda _body: (200, {"Content-Type": kind}, body)) as (address, _):
        return mailbox.full_message(
            parties.platform(address), parties.identity(), parties.assertion(),
            message_id=IDENTIFIER, now=parties.NOW,
        )  # fmt: skip


def test_a_message_is_read_with_its_text_inside_or_attached() -> None:
    assert ask(XML["Content-Type"], INLINE).content == b"bonjour"
    found = ask(TYPE, GOOD)
    assert (found.content, found.publication_id, found.title) == (b"bon\r\njour", "P1", "Test")


WRONG: dict[str, tuple[str, bytes, type[PlatformError]]] = {
    "an attachment that is not there": (TYPE, ROOT + b"--=_b--\r\n", Malformed),
    "a pointer to the world": (
        "text/xml",
        full("<EncryptableBinaryContent>http://example.be/</EncryptableBinaryContent>"),
        Malformed,
    ),
    "another message": ("text/xml", full("<EncryptableTextContent/>", "16000000AbC02"), NotAuthentic),
    "a message without content": ("text/xml", full(""), Malformed),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_false_message_is_not_read(case: str) -> None:
    kind, body, expected = WRONG[case]
    with pytest.raises(expected):
        ask(kind, body)


def test_attachments_are_not_taken_where_none_are_expected() -> None:
    with (
        answering(lambda _body: (200, {"Content-Type": TYPE}, GOOD)) as (address, _),
        pytest.raises(Malformed),
    ):
        mailbox.box_info(parties.platform(address), parties.identity(), parties.assertion(), now=parties.NOW)


def answer(name: str, content: str) -> Callable[[bytes], tuple[int, dict[str, str], bytes]]:
    body = soap(f'<c:{name}Response xmlns:c="{names.MAILBOX}">{SUCCESS}{content}</c:{name}Response>')
    return lambda _body: (200, XML, body)


def test_receipts_tell_how_far_a_message_came() -> None:
    owner = "<Id>84011012387</Id><Type>INSS</Type><Quality>DOCTOR</Quality>"
    row = f"<Row><Recipient>{owner}</Recipient><Published>2026-01-14T10:00:00Z</Published></Row>"
    name = "GetMessageAcknowledgmentsStatus"
    for content, count in ((f"<AcknowledgmentsStatus>{row}</AcknowledgmentsStatus>", 1), ("", 0)):
        with answering(answer(name, content)) as (address, _):
            found = mailbox.acknowledgments(
                parties.platform(address), parties.identity(), parties.assertion(),
                message_id=IDENTIFIER, now=parties.NOW,
            )  # fmt: skip
        assert len(found) == count
    with answering(answer("GetBoxInfo", "")) as (address, _), pytest.raises(Malformed):
        mailbox.acknowledgments(
            parties.platform(address), parties.identity(), parties.assertion(),
            message_id=IDENTIFIER, now=parties.NOW,
        )  # fmt: skip
