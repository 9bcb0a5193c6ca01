"""Whole messages, receipts, moving, deleting and sending over HTTP: what is read, what is refused."""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from lxml import etree

from ehealth.client import mailbox, names, publication
from ehealth.client.contracts import check_envelope
from ehealth.client.errors import Faulted, Malformed, NotAuthentic, PlatformError, Refused
from tests.ehealth.client import parties
from tests.ehealth.client.servers import XML, Answer, answering
from tests.ehealth.client.test_conversation import ME, NOW, SUCCESS, box, fault, soap

ID, OTHER = "16000000AbC01", "16000000AbC02"
SENDER = "<Sender><Id>71000012</Id><Type>NIHII</Type><Quality>HOSPITAL</Quality><Name>Test</Name></Sender>"
MINE = "<Id>84011012387</Id><Type>INSS</Type><Quality>DOCTOR</Quality>"
INFO = (
    "<MessageInfo><PublicationDate>2026-01-14</PublicationDate><ExpirationDate>2026-07-14</ExpirationDate>"
    "<Size>2048</Size></MessageInfo>"
)
WRITTEN = "<EncryptableTextContent>aGVsbG8=</EncryptableTextContent>"
REFERRED = "<EncryptableBinaryContent>cid:doc@x</EncryptableBinaryContent>"
INCLUDED = (
    f'<EncryptableTextContent><x:Include xmlns:x="{names.XOP}" href="cid:doc@x"/></EncryptableTextContent>'
)
ANNEX = (
    "<Annex><EncryptableTitle>dGl0bGU=</EncryptableTitle><EncryptableBinaryContent>cid:annex@x"
    "</EncryptableBinaryContent><DownloadFileName>b.pdf</DownloadFileName><MimeType>application/pdf</MimeType>"
    "</Annex>"
)


def full(content: str = WRITTEN, annex: str = "", identifier: str = ID) -> bytes:
    inner = (
        f'{SUCCESS}{SENDER}<Message MessageId="{identifier}"><PublicationId>pub1</PublicationId>'
        f"<DestinationContext>{MINE}</DestinationContext><ContentContext><Content><Document>"
        f"<Title>R\u202eapport</Title>{content}<DownloadFileName>a.txt</DownloadFileName>"
        f"<MimeType>text/plain</MimeType></Document>{annex}</Content><ContentSpecification><ContentType>DOCUMENT"
        "</ContentType><IsImportant>false</IsImportant><IsEncrypted>true</IsEncrypted></ContentSpecification>"
        f"</ContentContext></Message>{INFO}"
    )
    return box(inner, "GetFullMessage")[2]


def in_parts(root: bytes, parts: dict[str, bytes], kind: str = "text/xml", status: int = 200) -> Answer:
    pieces = [f"Content-Type: {kind}\r\nContent-ID: <r@x>\r\n\r\n".encode() + root]
    pieces += [f"Content-ID: <{name}>\r\n\r\n".encode() + octets for name, octets in parts.items()]
    body = b"".join(b"--b\r\n" + piece + b"\r\n" for piece in pieces) + b"--b--"
    return status, {"Content-Type": f'multipart/related; type="{kind}"; start="<r@x>"; boundary=b'}, body


def read(answer: Answer, **changes: object) -> mailbox.FullMessage:
    with answering(lambda _body: answer) as (address, seen):
        found = mailbox.full_message(
            parties.platform(address, **changes), ME, parties.assertion(), message_id=ID, now=NOW
        )
    assert seen.headers[0]["SOAPAction"] == f'"{names.MAILBOX}:getFullMessage"'
    assert "multipart/related" in seen.headers[0]["Accept"]
    check_envelope(etree.fromstring(seen.bodies[0]))
    return found


def test_a_message_is_read_whole_from_one_document() -> None:
    found = read((200, XML, full()))
    assert (found.message_id, found.publication_id, found.sender_id) == (ID, "pub1", "71000012")
    assert (found.title, found.file_name, found.mime_type) == ("R apport", "a.txt", "text/plain")
    assert (found.content, found.annexes, found.encrypted) == (b"hello", (), True)
    assert "hello" not in repr(found)


@pytest.mark.parametrize(
    ("content", "kind"), [(REFERRED, "text/xml"), (INCLUDED, "text/xml"), (INCLUDED, "application/xop+xml")]
)
def test_a_message_is_read_whole_from_several_parts(content: str, kind: str) -> None:
    parts = {"doc@x": b"\0\r\n--octets", "annex@x": b"pdf"}
    found = read(in_parts(full(content, ANNEX), parts, kind))
    assert found.content == b"\0\r\n--octets"
    assert found.annexes == (mailbox.Annex(b"title", "b.pdf", "application/pdf", b"pdf"),)


def test_a_message_may_be_larger_than_another_answer_but_not_than_a_message() -> None:
    large = in_parts(full(REFERRED), {"doc@x": b"x" * 2_000_000})
    assert len(read(large).content) == 2_000_000
    with pytest.raises(Malformed, match="too large"):
        read(large, max_content=1_000_000)


def broken(octets: bytes, old: bytes, new: bytes) -> Answer:
    status, headers, body = in_parts(octets, {"doc@x": b"1"})
    assert old in body
    return status, headers, body.replace(old, new, 1)


GOOD = full(REFERRED)
FALSE: dict[str, tuple[Answer, type[PlatformError]]] = {
    "another message": ((200, XML, full(identifier=OTHER)), NotAuthentic),
    "no message": (box(SUCCESS, "GetFullMessage"), Malformed),
    "another answer": (box(SUCCESS, "DeleteMessage"), Malformed),
    "base64 that is none": ((200, XML, full(WRITTEN.replace("aGVsbG8=", "a"))), Malformed),
    "a part that is not there": (in_parts(GOOD, {}), Malformed),
    "a part that nobody wants": (in_parts(full(), {"doc@x": b"1"}), Malformed),
    "a reference without parts": ((200, XML, GOOD), Malformed),
    "a part used twice": (
        in_parts(full(REFERRED, ANNEX.replace("annex@x", "doc@x")), {"doc@x": b"1"}),
        Malformed,
    ),
    "an address elsewhere": (
        in_parts(full(REFERRED.replace("cid:doc@x", "http://127.0.0.1:9/")), {"doc@x": b"1"}),
        Malformed,
    ),
    "a root that is no XML": (in_parts(b"hello", {}), Malformed),
    "a root with a DTD": (in_parts(b"<!DOCTYPE a>" + full(), {}), Malformed),
    "a root with two identifiers": (in_parts(soap('<a Id="1"><b Id="1"/></a>'), {}), NotAuthentic),
    "a root against the schema": (in_parts(full().replace(b"<Size>", b"<Size/><Size>"), {}), Malformed),
    "a success as an error": (in_parts(full(), {}, status=500), Malformed),
    "a fault in parts": (in_parts(fault("SOA-03006")[2], {}, status=500), Faulted),
    "never closed": (broken(GOOD, b"--b--", b"--b"), Malformed),
    "parts within parts": (
        broken(GOOD, b"Content-ID: <doc@x>", b"Content-Type: multipart/mixed\r\nContent-ID: <doc@x>"),
        Malformed,
    ),
    "two parts of one name": (
        broken(GOOD, b"\r\n--b--", b"\r\n--b\r\nContent-ID: <doc@x>\r\n\r\n2\r\n--b--"),
        Malformed,
    ),
    "an inclusion in a text": (
        in_parts(full().replace(b"a.txt", f'<x:Include xmlns:x="{names.XOP}" href="cid:no"/>'.encode()), {}),
        Malformed,
    ),
    "another type": ((200, {"Content-Type": "multipart/mixed; boundary=b"}, GOOD), Malformed),
}  # fmt: skip


@pytest.mark.parametrize("case", FALSE)
def test_a_false_message_is_never_read(case: str) -> None:
    answer, expected = FALSE[case]
    with pytest.raises(expected) as caught:
        read(answer)
    assert type(caught.value) is expected


def test_an_answer_in_parts_is_taken_for_a_whole_message_only() -> None:
    state = in_parts(box(SUCCESS)[2], {})
    with (
        answering(lambda _body: state) as (address, seen),
        pytest.raises(Malformed, match="content type"),
    ):
        mailbox.box_info(parties.platform(address), ME, parties.assertion(), now=NOW)
    assert seen.headers[0]["Accept"] == "text/xml"


def receipts(rows: str) -> tuple[mailbox.Acknowledgment, ...]:
    content = f"{SUCCESS}<AcknowledgmentsStatus>{rows}</AcknowledgmentsStatus>" if rows else SUCCESS
    answer = box(content, "GetMessageAcknowledgmentsStatus")
    with answering(lambda _body: answer) as (address, seen):
        found = mailbox.acknowledgments(
            parties.platform(address), ME, parties.assertion(), message_id=ID, now=NOW
        )
    check_envelope(etree.fromstring(seen.bodies[0]))
    assert f"<MessageId>{ID}</MessageId><StartIndex>1<".encode() in seen.bodies[0]
    return found


def row(moments: str) -> str:
    return f"<Row><Recipient>{MINE}</Recipient>{moments}</Row>"


def test_receipts_say_how_far_a_message_came() -> None:
    moments = "<Published>2026-01-14T10:00:00+01:00</Published><Read>2026-01-14T10:00:00Z</Read>"
    assert receipts(row(moments) + row("")) == (
        mailbox.Acknowledgment(
            parties.SSIN, datetime(2026, 1, 14, 9, tzinfo=UTC), None, datetime(2026, 1, 14, 10, tzinfo=UTC)
        ),
        mailbox.Acknowledgment(parties.SSIN, None, None, None),
    )
    assert receipts("") == ()


@pytest.mark.parametrize(
    "moments", ["<Read>2026-01-14T10:00:00</Read>", "<Read>soon</Read>", "<Read/>", "<Seen/>"]
)
def test_a_receipt_against_the_contract_is_not_read(moments: str) -> None:
    with pytest.raises(Malformed):
        receipts(row(moments))


Change = Callable[[str, list[str]], tuple[str, ...]]


def move(address: str, identifiers: list[str]) -> tuple[str, ...]:
    return mailbox.move(
        parties.platform(address), ME, parties.assertion(),
        source="INBOX", destination="BININBOX", message_ids=identifiers, now=NOW,
    )  # fmt: skip


def delete(address: str, identifiers: list[str]) -> tuple[str, ...]:
    return mailbox.delete(
        parties.platform(address), ME, parties.assertion(),
        source="BININBOX", message_ids=identifiers, now=NOW,
    )  # fmt: skip


CHANGES = pytest.mark.parametrize(("name", "change"), [("MoveMessage", move), ("DeleteMessage", delete)])


@CHANGES
def test_messages_are_moved_and_deleted_by_their_identifiers(name: str, change: Change) -> None:
    done = f"{SUCCESS}<MessageId>{ID}</MessageId><MessageId>{OTHER}</MessageId>"
    with answering(lambda _body: box(done, name)) as (address, seen):
        assert change(address, [ID, OTHER]) == (ID, OTHER)
    check_envelope(etree.fromstring(seen.bodies[0]))
    assert re.findall(rb"<MessageId>(\w+)<", seen.bodies[0]) == [ID.encode(), OTHER.encode()]


@CHANGES
def test_what_was_not_done_is_never_taken_for_done(name: str, change: Change) -> None:
    other = f"{SUCCESS}<MessageId>{OTHER}</MessageId>"
    answers: list[tuple[Answer, type[PlatformError]]] = [
        (box(other, name), NotAuthentic),
        (box(f"{SUCCESS}<MessageId>short</MessageId>", name), Malformed),
        (box(SUCCESS, "GetFullMessage"), Malformed),
        (fault("SOA-03007", kind="BusinessError"), Faulted),
        (box("<Status><Code>810</Code><Message>no</Message></Status>", name), Refused),
    ]
    for answer, expected in answers:
        with answering(lambda _body, given=answer: given) as (address, _), pytest.raises(expected) as caught:
            change(address, [ID])
        assert type(caught.value) is expected
    with answering(lambda _body: box(SUCCESS, name)) as (address, _):
        assert change(address, [ID]) == ()


@CHANGES
@pytest.mark.parametrize("count", [0, 101])
def test_none_and_more_than_a_hundred_are_not_asked(name: str, change: Change, count: int) -> None:
    with pytest.raises(ValueError, match="100"):
        change("http://127.0.0.1:9/", [ID] * count)


def sent(inner: str, publication_id: str = "@") -> Answer:
    content = (
        f'<p:SendMessageResponse xmlns:p="{names.PUBLICATION}" Id="{ID}"'
        f' SentPublicationId="{publication_id}">{inner}</p:SendMessageResponse>'
    )
    return 200, XML, soap(content)


TAKEN = f"{SUCCESS}<Recipient>{MINE}</Recipient>"


def send(answer: Answer) -> tuple[publication.Sent, etree._Element]:
    def echo(body: bytes) -> Answer:
        found = re.search(rb'PublicationId="(\w+)"', body)
        assert found
        return answer[0], answer[1], answer[2].replace(b'"@"', b'"%s"' % found[1])

    with answering(echo) as (address, seen):
        made = publication.send(
            parties.platform(address), ME, parties.assertion(), title="Essai", content=b"<\xff>", now=NOW
        )
    assert seen.headers[0]["SOAPAction"] == f'"{names.PUBLICATION}:sendMessage"'
    return made, etree.fromstring(seen.bodies[0])


def test_a_text_goes_to_the_own_box_with_its_digest_and_every_receipt() -> None:
    made, root = send(sent(TAKEN))
    assert made.message_id == ID and len(made.publication_id) == 13
    check_envelope(root)
    assert [found.text for found in root.iter("Id", "Type", "Quality")] == [parties.SSIN, "INSS", "DOCTOR"]
    assert base64.b64decode(root.findtext(".//EncryptableTextContent")) == b"<\xff>"
    assert base64.b64decode(root.findtext(".//Digest")) == hashlib.sha256(b"<\xff>").digest()
    receipts = [root.findtext(f".//{name}Receipt") for name in ("Publication", "Received", "Read")]
    assert receipts == ["true"] * 3
    assert send(sent(TAKEN))[0].publication_id != made.publication_id


def test_an_answer_that_does_not_say_it_was_taken_is_no_success() -> None:
    cases: list[tuple[Answer, type[PlatformError]]] = [
        (sent(TAKEN, "another"), NotAuthentic),
        (sent(SUCCESS), Malformed),
        (sent(f"{TAKEN}<Recipient/>"), Malformed),
        (box(SUCCESS, "SendMessage"), Malformed),
        (sent("<Status><Code>816</Code><Message>digest</Message></Status>"), Refused),
        (fault("814", kind="BusinessError"), Faulted),
    ]
    for answer, expected in cases:
        with pytest.raises(expected) as caught:
            send(answer)
        assert type(caught.value) is expected


@pytest.mark.parametrize(("title", "content"), [("", b""), ("x" * 401, b""), ("x", b"x" * 65537)])
def test_only_a_short_text_with_a_title_is_sent(title: str, content: bytes) -> None:
    with pytest.raises(ValueError, match="short"):
        publication.send(parties.platform(), ME, parties.assertion(), title=title, content=content, now=NOW)
