"""The eHealthBox and the ETK depot."""

import base64
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from lxml import etree

from tests.platform import PASSWORD, Simulator
from tests.simulator.messages import (
    BOX,
    BOX_INFO,
    BOX_LIST,
    BOX_PATH,
    ETK,
    ETK_PATH,
    SOAP,
    Doctor,
    Reply,
    ask_token,
    assertion_of,
    doctor,
    message,
    post,
)


def box_info(simulator: Simulator, who: Doctor, assertion: str, inside: str = "") -> Reply:
    payload = f'<c:GetBoxInfoRequest xmlns:c="{BOX}">{inside}</c:GetBoxInfoRequest>'
    return post(simulator, BOX_PATH, BOX_INFO, message(payload, who, assertion))


def listing(simulator: Simulator, who: Doctor, assertion: str, inside: str) -> Reply:
    payload = f'<c:GetMessagesListRequest xmlns:c="{BOX}">{inside}</c:GetMessagesListRequest>'
    return post(simulator, BOX_PATH, BOX_LIST, message(payload, who, assertion))


def page(first: int, last: int, box: str = "INBOX") -> str:
    return f"<Source>{box}</Source><StartIndex>{first}</StartIndex><EndIndex>{last}</EndIndex>"


def owner(simulator: Simulator, number: str) -> tuple[Doctor, str]:
    who = doctor(simulator, number, "10000007004")
    return who, assertion_of(ask_token(simulator, who))


def test_a_long_box_is_listed_newest_first_in_three_calls(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100135")
    made = simulator.add_messages(who.ssin, 250)
    found, dates = [], []
    for first, size in ((1, 100), (101, 100), (201, 50)):
        payload = listing(simulator, who, assertion, page(first, first + 99)).payload
        found += [each.text for each in payload.iter("MessageId")]
        dates += [each.text for each in payload.iter("PublicationDate")]
        assert len(payload.findall("Message")) == size
    assert found == made[::-1]
    assert dates == sorted(dates, reverse=True)
    assert not listing(simulator, who, assertion, page(301, 400)).payload.findall("Message")


def test_the_default_page_is_the_first_hundred(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100234")
    simulator.add_messages(who.ssin, 120)
    payload = listing(simulator, who, assertion, "<Source>INBOX</Source>").payload
    assert len(payload.findall("Message")) == 100
    assert not listing(simulator, who, assertion, "<Source>SENTBOX</Source>").payload.findall("Message")


def test_a_bad_range_is_refused(simulator: Simulator, elise: Doctor, token: str) -> None:
    assert listing(simulator, elise, token, page(1, 101)).code == "SOA-03007"
    assert listing(simulator, elise, token, page(5, 4)).code == "SOA-03007"
    assert listing(simulator, elise, token, page(0, 4)).code == "SOA-03006"


def test_the_state_of_a_full_box(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100333")
    simulator.add_messages(who.ssin, 2, size=1000)
    payload = box_info(simulator, who, assertion).payload
    assert (payload.findtext("CurrentSize"), payload.findtext("MaxSize")) == ("2000", "10485760")
    assert payload.findtext("NbrMessagesInStandBy") == "0"
    simulator.add_person(who.ssin, standby=3, current_size=10_400_000)
    payload = box_info(simulator, who, assertion).payload
    assert (payload.findtext("CurrentSize"), payload.findtext("NbrMessagesInStandBy")) == ("10400000", "3")


def test_another_box_is_not_shown(simulator: Simulator, elise: Doctor, token: str) -> None:
    def box(kind: str, number: str) -> str:
        return f"<BoxId><Id>{number}</Id><Type>{kind}</Type><Quality>DOCTOR</Quality></BoxId>"

    assert box_info(simulator, elise, token, box("INSS", elise.ssin)).payload.find("BoxId") is not None
    assert box_info(simulator, elise, token, box("NIHII", elise.nihii[:8])).payload.find("BoxId") is not None
    refused = box_info(simulator, elise, token, box("INSS", "75062712377")).payload
    assert refused.findtext("Status/Code") == "810"
    assert len(refused) == 1


def etk(simulator: Simulator, kind: str, value: str) -> etree._Element:
    request = (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><k:GetEtkRequest xmlns:k="{ETK}">'
        "<k:SearchCriteria><k:Identifier>"
        f"<k:Type>{kind}</k:Type><k:Value>{value}</k:Value><k:ApplicationID/></k:Identifier></k:SearchCriteria>"
        "</k:GetEtkRequest></s:Body></s:Envelope>"
    )
    return post(simulator, ETK_PATH, "", request.encode()).payload


def status(payload: etree._Element) -> str:
    return payload[0].findtext("Code")


def test_the_published_token_holds_the_encryption_certificate_of_the_keystore(simulator: Simulator) -> None:
    simulator.add_person("71010100432", nihii11="10000007004")
    opened = pkcs12.load_pkcs12(simulator.keystore("71010100432"), PASSWORD.encode())
    payload = etk(simulator, "SSIN", "71010100432")
    assert status(payload) == "200"
    token = base64.b64decode(payload.findtext(f"{{{ETK}}}ETK"))
    assert pkcs7.load_der_pkcs7_certificates(token) == [opened.cert.certificate]
    start = token.index(b"\x30\x82", token.index(bytes.fromhex("06092a864886f70d010701")))
    enclosed = x509.load_der_x509_certificate(
        token[start : start + 4 + int.from_bytes(token[start + 2 : start + 4])]
    )
    assert str(enclosed.serial_number).encode() in [each.friendly_name for each in opened.additional_certs]


def test_what_the_depot_does_not_know(simulator: Simulator) -> None:
    assert status(etk(simulator, "SSIN", "90020200235")) == "404"
    assert status(etk(simulator, "CBE", "0820563481")) == "404"
    assert status(etk(simulator, "SHOE-SIZE", "44")) == "400"


def call(simulator: Simulator, who: Doctor, assertion: str, operation: str, inside: str) -> Reply:
    name = operation[0].upper() + operation[1:]
    payload = f'<c:{name}Request xmlns:c="{BOX}">{inside}</c:{name}Request>'
    return post(simulator, BOX_PATH, f"{BOX}:{operation}", message(payload, who, assertion))


def publish(simulator: Simulator, who: Doctor, assertion: str, content: bytes, **changes: str) -> Reply:
    digest = changes.get("digest") or base64.b64encode(hashlib.sha256(content).digest()).decode()
    owner = (
        f"<Id>{changes.get('to', who.ssin)}</Id><Type>INSS</Type>"
        f"<Quality>{changes.get('quality', 'DOCTOR')}</Quality>"
    )
    document = (
        f"<Title>Test</Title><EncryptableTextContent>{base64.b64encode(content).decode()}"
        "</EncryptableTextContent><DownloadFileName>t.txt</DownloadFileName><MimeType>text/plain</MimeType>"
        f"<Digest>{digest}</Digest>"
    )
    flags = (
        "<ContentType>DOCUMENT</ContentType><IsImportant>false</IsImportant><IsEncrypted>false</IsEncrypted>"
        "<PublicationReceipt>true</PublicationReceipt><ReceivedReceipt>true</ReceivedReceipt>"
        "<ReadReceipt>true</ReadReceipt>"
    )
    namespace = BOX.replace("consultation", "publication")
    payload = (
        f'<c:SendMessageRequest xmlns:c="{namespace}" PublicationId="P1">'
        f"<DestinationContext>{owner}</DestinationContext><ContentContext><Content><Document>{document}"
        f"</Document></Content><ContentSpecification>{flags}</ContentSpecification></ContentContext>"
        "</c:SendMessageRequest>"
    )
    path = BOX_PATH.replace("Consultation", "Publication")
    return post(simulator, path, f"{namespace}:sendMessage", message(payload, who, assertion))


def listed(simulator: Simulator, who: Doctor, assertion: str, box: str = "INBOX") -> list[str]:
    found = listing(simulator, who, assertion, page(1, 100, box)).payload
    return [each.text for each in found.iter("MessageId")]


def test_a_message_sent_is_read_acknowledged_moved_and_deleted(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100432")
    assert publish(simulator, who, assertion, b"bonjour").payload.get("SentPublicationId") == "P1"
    (inbox,), (sent,) = listed(simulator, who, assertion), listed(simulator, who, assertion, "SENTBOX")
    acks = f"<MessageId>{sent}</MessageId>"
    before = call(simulator, who, assertion, "getMessageAcknowledgmentsStatus", acks).payload
    assert before.find(".//Received") is not None and before.find(".//Read") is None
    whole = call(
        simulator, who, assertion, "getFullMessage", f"<Source>INBOX</Source><MessageId>{inbox}</MessageId>"
    )
    assert whole.headers["Content-Type"].startswith("multipart/related")
    assert b"Ym9uam91cg==" in whole.raw
    after = call(simulator, who, assertion, "getMessageAcknowledgmentsStatus", acks).payload
    assert after.find(".//Read") is not None
    away = f"<Source>INBOX</Source><Destination>BININBOX</Destination><MessageId>{inbox}</MessageId>"
    assert call(simulator, who, assertion, "moveMessage", away).payload.findtext("MessageId") == inbox
    assert listed(simulator, who, assertion) == [] and listed(simulator, who, assertion, "BININBOX") == [
        inbox
    ]
    gone = f"<Source>BININBOX</Source><MessageId>{inbox}</MessageId>"
    assert call(simulator, who, assertion, "deleteMessage", gone).payload.findtext("MessageId") == inbox
    assert call(simulator, who, assertion, "deleteMessage", gone).code == "802"


def test_good_identifiers_are_moved_even_when_others_are_refused(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100531")
    one, two = simulator.add_messages(who.ssin, 2)
    asked = f"<Source>INBOX</Source><Destination>BININBOX</Destination><MessageId>{one}</MessageId>"
    asked += "<MessageId>0000000000000</MessageId>"
    reply = call(simulator, who, assertion, "moveMessage", asked)
    assert reply.code == "802" and b"0000000000000" in reply.raw
    assert listed(simulator, who, assertion) == [two]
    wrong = f"<Source>INBOX</Source><Destination>SENTBOX</Destination><MessageId>{two}</MessageId>"
    assert call(simulator, who, assertion, "moveMessage", wrong).code == "SOA-03007"


def test_annexes_travel_as_attachments(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100630")
    (first,) = simulator.add_messages(who.ssin, 1)
    asked = f"<Source>INBOX</Source><MessageId>{first}</MessageId>"
    reply = call(simulator, who, assertion, "getFullMessage", asked)
    assert b"cid:" in reply.raw and reply.raw.count(b"Content-ID") == 2


def test_what_a_full_box_keeps_outside_comes_in_when_there_is_room(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100729")
    (big,) = simulator.add_messages(who.ssin, 1, size=1000)
    simulator.add_person(who.ssin, max_size=1004)
    publish(simulator, who, assertion, b"bonjour")
    assert box_info(simulator, who, assertion).payload.findtext("NbrMessagesInStandBy") == "1"
    assert listed(simulator, who, assertion) == [big]
    call(simulator, who, assertion, "deleteMessage", f"<Source>INBOX</Source><MessageId>{big}</MessageId>")
    assert box_info(simulator, who, assertion).payload.findtext("NbrMessagesInStandBy") == "0"
    assert len(listed(simulator, who, assertion)) == 1


def test_what_may_not_be_published_is_refused_with_its_code(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100828")
    for changes, code in (
        ({"digest": "AAAA"}, "816"),
        ({"quality": "HOSPITAL"}, "814"),
        ({"to": "99999999999"}, "802"),
    ):
        assert publish(simulator, who, assertion, b"bonjour", **changes).code == code
    assert listed(simulator, who, assertion) == []


def test_a_message_is_not_shown_after_its_last_day(simulator: Simulator) -> None:
    who, assertion = owner(simulator, "71010100927")
    (last_day,) = simulator.add_messages(who.ssin, 1, age=182)
    simulator.add_messages(who.ssin, 1, age=183)
    assert listed(simulator, who, assertion) == [last_day]
