"""The eHealthBox and the ETK depot."""

import base64

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
