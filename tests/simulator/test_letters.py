"""The eHealthBox as a place: whole messages, receipts, folders, room, and sending."""

import base64
import email
import email.policy
import hashlib
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from lxml import etree

from tests.platform import Simulator
from tests.simulator.messages import (
    BOX,
    BOX_PATH,
    SCHEMA,
    SOAP,
    Doctor,
    Reply,
    ask_token,
    assertion_of,
    doctor,
    message,
    post,
)
from tests.simulator.test_mailbox_and_etk import box_info, listing, page

PUBLICATION = "urn:be:fgov:ehealth:ehbox:publication:protocol:v3"
PUBLICATION_PATH = "/ehBoxPublication/v3"
Holder = tuple[Simulator, Doctor, str]
NUMBERS = iter(range(71020300000, 71020399999, 97))


@pytest.fixture
def holder(simulator: Simulator) -> Holder:
    """A doctor whom nobody else uses, with a token."""
    who = doctor(simulator, str(next(NUMBERS)), "10000007004")
    return simulator, who, assertion_of(ask_token(simulator, who))


def ask(holder: Holder, operation: str, inside: str, element: str = "") -> Reply:
    simulator, who, assertion = holder
    name = element or operation[0].upper() + operation[1:]
    payload = f'<c:{name}Request xmlns:c="{BOX}">{inside}</c:{name}Request>'
    return post(simulator, BOX_PATH, f"{BOX}:{operation}", message(payload, who, assertion))


def whole(holder: Holder, identifier: str, source: str = "INBOX") -> Reply:
    return ask(holder, "getFullMessage", f"<Source>{source}</Source><MessageId>{identifier}</MessageId>")


def ids(holder: Holder, box: str = "INBOX") -> list[str]:
    simulator, who, assertion = holder
    payload = listing(simulator, who, assertion, page(1, 100, box)).payload
    return [found.text for found in payload.iter("MessageId")]


def change(holder: Holder, operation: str, identifiers: list[str], **folders: str) -> Reply:
    named = "".join(f"<{name}>{folder}</{name}>" for name, folder in folders.items())
    return ask(holder, operation, named + "".join(f"<MessageId>{each}</MessageId>" for each in identifiers))


def state(holder: Holder) -> tuple[int, int]:
    payload = box_info(*holder).payload
    return int(payload.findtext("NbrMessagesInStandBy")), int(payload.findtext("CurrentSize"))


def sending(number: str, *, text: bytes = b"bonjour", digest: str = "", **changes: str) -> str:
    given = {"Type": "INSS", "Quality": "DOCTOR", "Extra": "", "BoxId": ""} | changes
    stated = digest or base64.b64encode(hashlib.sha256(text).digest()).decode()
    return (
        f'<p:SendMessageRequest xmlns:p="{PUBLICATION}" PublicationId="pub1">{given["BoxId"]}'
        f"<DestinationContext><Id>{number}</Id><Type>{given['Type']}</Type><Quality>{given['Quality']}</Quality>"
        "</DestinationContext><ContentContext><Content><Document><Title>Essai</Title><EncryptableTextContent>"
        f"{base64.b64encode(text).decode()}</EncryptableTextContent><DownloadFileName>a.txt</DownloadFileName>"
        f"<MimeType>text/plain</MimeType><Digest>{stated}</Digest></Document>{given['Extra']}</Content>"
        "<ContentSpecification><ContentType>DOCUMENT</ContentType><IsImportant>false</IsImportant>"
        "<IsEncrypted>false</IsEncrypted><PublicationReceipt>true</PublicationReceipt><ReceivedReceipt>true"
        "</ReceivedReceipt><ReadReceipt>true</ReadReceipt></ContentSpecification></ContentContext>"
        "</p:SendMessageRequest>"
    )


def send(holder: Holder, payload: str) -> Reply:
    simulator, who, assertion = holder
    return post(simulator, PUBLICATION_PATH, f"{PUBLICATION}:sendMessage", message(payload, who, assertion))


def test_a_message_of_the_box_comes_in_parts_that_add_up_to_its_size(holder: Holder) -> None:
    (first,) = holder[0].add_messages(holder[1].ssin, 1, size=10_000)
    reply = whole(holder, first)
    assert reply.headers["Content-Type"].startswith("multipart/related")
    head = f"Content-Type: {reply.headers['Content-Type']}\r\n\r\n".encode()
    found = email.message_from_bytes(head + reply.raw, policy=email.policy.HTTP)
    assert isinstance(found, EmailMessage)
    root, *others = found.iter_parts()
    envelope = etree.fromstring(root.get_content().encode())
    SCHEMA.assertValid(envelope)
    answer = envelope.find(f"{{{SOAP}}}Body")[0]
    assert answer.find("Message").get("MessageId") == first
    references = [element.text for element in answer.iter("EncryptableBinaryContent")]
    assert references == [f"cid:{part['Content-ID'].strip('<>')}" for part in others]
    contents = [part.get_payload(decode=True) for part in others]
    assert (len(contents), sum(map(len, contents))) == (2, 10_000)
    assert ids(holder) == [first]


def test_an_unknown_message_is_refused_wherever_it_is_looked_for(
    holder: Holder, simulator: Simulator
) -> None:
    other = doctor(simulator, str(next(NUMBERS)), "10000007004")
    (foreign,) = simulator.add_messages(other.ssin, 1)
    (mine,) = simulator.add_messages(holder[1].ssin, 1)
    for identifier, source in ((foreign, "INBOX"), ("a" * 13, "INBOX"), (mine, "SENTBOX"), (mine, "HISTORY")):
        reply = whole(holder, identifier, source)
        assert reply.code == "SOA-03007" and b"BusinessError" in reply.raw
    assert whole(holder, mine, "BININBOX").code == "SOA-03006"
    assert whole(holder, "short").code == "SOA-03006"


def test_an_expired_message_is_neither_listed_nor_given_nor_counted(holder: Holder) -> None:
    today = datetime.now(UTC).date()
    yesterday = (today - timedelta(days=1)).isoformat()
    (old,) = holder[0].add_messages(holder[1].ssin, 1, size=500, expires=yesterday)
    (last,) = holder[0].add_messages(holder[1].ssin, 1, size=300, expires=today.isoformat())
    assert ids(holder) == [last]
    assert state(holder) == (0, 300)
    assert whole(holder, old).code == "SOA-03007"


def test_a_message_goes_to_the_bin_and_back_and_is_gone_when_deleted(holder: Holder) -> None:
    made = holder[0].add_messages(holder[1].ssin, 3, size=100)
    reply = change(holder, "moveMessage", made[:2], Source="INBOX", Destination="BININBOX")
    assert [found.text for found in reply.payload.iter("MessageId")] == made[:2]
    assert (ids(holder), sorted(ids(holder, "BININBOX"))) == ([made[2]], sorted(made[:2]))
    assert state(holder) == (0, 300)
    assert change(holder, "moveMessage", made[:1], Source="BININBOX", Destination="INBOX").code == ""
    assert change(holder, "deleteMessage", [made[1]], Source="BININBOX").code == ""
    assert (sorted(ids(holder)), ids(holder, "BININBOX")) == (sorted([made[0], made[2]]), [])
    assert state(holder) == (0, 200)


def test_the_good_ones_are_done_and_the_bad_ones_named(holder: Holder) -> None:
    made = holder[0].add_messages(holder[1].ssin, 2)
    reply = change(holder, "deleteMessage", [made[0], "x" * 13], Source="INBOX")
    assert reply.code == "SOA-03007" and b"x" * 13 in reply.raw and made[0].encode() not in reply.raw
    assert ids(holder) == [made[1]]
    assert change(holder, "deleteMessage", ["x" * 13] * 101, Source="INBOX").code == "SOA-03006"
    for folders in (("INBOX", "SENTBOX"), ("INBOX", "INBOX"), ("INBOX", "BINSENTBOX")):
        source, destination = folders
        moved = change(holder, "moveMessage", [made[1]], Source=source, Destination=destination)
        assert moved.code == "SOA-03007"
    assert ids(holder) == [made[1]]


def test_an_identifier_is_never_given_twice(holder: Holder) -> None:
    (first,) = holder[0].add_messages(holder[1].ssin, 1)
    change(holder, "deleteMessage", [first], Source="INBOX")
    (second,) = holder[0].add_messages(holder[1].ssin, 1)
    assert second != first


def receipts(holder: Holder, identifier: str) -> Reply:
    return ask(holder, "getMessageAcknowledgmentsStatus", f"<MessageId>{identifier}</MessageId>")


def test_a_message_to_oneself_arrives_and_is_acknowledged_once_read(holder: Holder) -> None:
    reply = send(holder, sending(holder[1].ssin))
    answer = reply.payload
    identifier = answer.get("Id")
    assert (answer.get("SentPublicationId"), answer.findtext("Status/Code")) == ("pub1", "100")
    assert answer.findtext("Recipient/Id") == holder[1].ssin
    assert ids(holder) == ids(holder, "SENTBOX") == [identifier]
    row = receipts(holder, identifier).payload.find("AcknowledgmentsStatus/Row")
    assert [child.tag for child in row] == ["Recipient", "Published", "Received"]
    assert whole(holder, identifier, "SENTBOX").code == ""
    assert receipts(holder, identifier).payload.find(".//Read") is None
    read = whole(holder, identifier)
    assert read.headers["Content-Type"] == "text/xml; charset=UTF-8"
    assert base64.b64decode(read.payload.findtext(".//EncryptableTextContent")) == b"bonjour"
    assert read.payload.findtext("Sender/FirstName") == "Élise"
    row = receipts(holder, identifier).payload.find("AcknowledgmentsStatus/Row")
    assert [child.tag for child in row] == ["Recipient", "Published", "Received", "Read"]


def test_only_the_sender_is_told_what_became_of_a_message(holder: Holder, simulator: Simulator) -> None:
    other = doctor(simulator, str(next(NUMBERS)), "10000007004")
    theirs = (simulator, other, assertion_of(ask_token(simulator, other)))
    identifier = send(holder, sending(other.ssin)).payload.get("Id")
    assert ids(theirs) == [identifier] and ids(holder) == [] and ids(holder, "SENTBOX") == [identifier]
    assert receipts(theirs, identifier).code == "SOA-03007"
    assert receipts(holder, identifier).payload.findtext(".//Recipient/Id") == other.ssin
    assert receipts(holder, "x" * 13).code == "SOA-03007"


def test_a_full_box_keeps_new_mail_outside_until_there_is_room(holder: Holder) -> None:
    simulator, who, _ = holder
    (old,) = simulator.add_messages(who.ssin, 1, size=1000)
    simulator.add_person(who.ssin, max_size=1010)
    first = send(holder, sending(who.ssin, text=b"x" * 20)).payload.get("Id")
    assert (ids(holder), state(holder)[0]) == ([old], 1)
    assert receipts(holder, first).payload.find(".//Received") is None
    assert change(holder, "deleteMessage", [old], Source="INBOX").code == ""
    assert (ids(holder), state(holder)[0]) == ([first], 0)
    assert receipts(holder, first).payload.find(".//Received") is not None


def other_box() -> str:
    return "<BoxId><Id>75062712377</Id><Type>INSS</Type><Quality>DOCTOR</Quality></BoxId>"


REFUSED = {
    "too large": ({"text": b"x" * 600_000}, "801"),
    "a digest of something else": ({"digest": "AAAA"}, "816"),
    "an unknown type": ({"Type": "SSIN"}, "804"),
    "an unknown quality": ({"Quality": "WIZARD"}, "803"),
    "a quality that gets nothing from here": ({"Quality": "HOSPITAL"}, "814"),
    "a number of another type": ({"Type": "CBE"}, "802"),
    "somebody else's box": ({"BoxId": other_box()}, "810"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_message_that_cannot_be_sent_is_refused_with_its_code(holder: Holder, case: str) -> None:
    changes, code = REFUSED[case]
    holder[0].add_person(holder[1].ssin, max_size=500_000)
    answer = send(holder, sending(holder[1].ssin, **changes)).payload  # type: ignore[arg-type]
    assert (answer.findtext("Status/Code"), answer.find("Recipient")) == (code, None)
    assert ids(holder) == ids(holder, "SENTBOX") == []


def test_nobody_of_that_number_and_things_not_taken(holder: Holder) -> None:
    assert send(holder, sending("99123199931")).payload.findtext("Status/Code") == "802"
    referred = sending(holder[1].ssin).replace(
        "<EncryptableTextContent>Ym9uam91cg==</EncryptableTextContent>",
        "<EncryptableBinaryContent>cid:a</EncryptableBinaryContent>",
    )
    assert send(holder, referred).code == "SOA-03007"
    assert send(holder, sending(holder[1].ssin).replace("<Title>Essai</Title>", "")).code == "SOA-03006"
    assert send(holder, sending(holder[1].ssin).replace('"pub1"', '"' + "x" * 14 + '"')).code == "SOA-03006"


def test_the_new_operations_are_as_closed_as_the_old_ones(holder: Holder) -> None:
    simulator, who, assertion = holder
    simulator.fault("business", service="mailbox", value="810", ssin=who.ssin)
    refused = whole(holder, "a" * 13).payload
    assert (refused.findtext("Status/Code"), len(refused)) == ("810", 1)
    payload = sending(who.ssin)
    wrong = post(simulator, PUBLICATION_PATH, f"{BOX}:sendMessage", message(payload, who, assertion))
    assert wrong.code == "SOA-03004"
    elsewhere = post(simulator, BOX_PATH, f"{PUBLICATION}:sendMessage", message(payload, who, assertion))
    assert elsewhere.code == "SOA-03005"
    unsigned = message(payload, who, assertion, signed=("timestamp",))
    assert post(simulator, PUBLICATION_PATH, f"{PUBLICATION}:sendMessage", unsigned).code == "SOA-01001"
    simulator.add_person(who.ssin, authorised=False)
    assert send(holder, payload).code == "SOA-01002"
