"""The four services over HTTP: what they give, what they refuse, which address is asked next, what is
recorded.
"""

import base64
import re
from collections.abc import Callable
from datetime import date

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from lxml import etree

from ehealth.client import etk, mailbox, names, registration, sts
from ehealth.client.contracts import check_envelope
from ehealth.client.conversation import ExchangeFacts
from ehealth.client.errors import (
    Faulted,
    Malformed,
    NotAuthentic,
    PlatformError,
    Refused,
    TimedOut,
    Unreachable,
)
from ehealth.client.platform import SERVICES
from tests.ehealth.client import parties
from tests.ehealth.client.answers import (
    ACCEPTED,
    FALSE,
    MISSHAPEN,
    Asked,
    box,
    deflated,
    fault,
    rejected,
    soap,
    verdict,
)
from tests.ehealth.client.servers import XML, Answer, answering
from tests.ehealth.client.test_signatures import declared

ME = parties.identity("rsa")
ASKED = Asked(parties.NIHII, declared().request_id)
NOW = parties.NOW
SUCCESS = '<Status><Code>100</Code><Message Lang="EN">SUCCESS</Message></Status>'
BOX = (
    "<BoxId><Id>84011012387</Id><Type>INSS</Type><Quality>DOCTOR</Quality></BoxId>"
    "<NbrMessagesInStandBy>3</NbrMessagesInStandBy><CurrentSize>20480</CurrentSize><MaxSize>10485760</MaxSize>"
)
MESSAGE = """<Message><MessageId>16000000AbC01</MessageId>
<Destination><Id>84011012387</Id><Type>INSS</Type><Quality>DOCTOR</Quality></Destination>
<Sender><Id>71000012</Id><Type>NIHII</Type><Quality>HOSPITAL</Quality><Name>H\u202eOPITAL</Name></Sender>
<MessageInfo><PublicationDate>2026-01-14</PublicationDate><ExpirationDate>2026-07-14</ExpirationDate>
<Size>2048</Size></MessageInfo><ContentInfo><Title>Rapport</Title><MimeType>text/plain</MimeType>
<HasFreeInformations>false</HasFreeInformations><HasAnnex>true</HasAnnex></ContentInfo>
<ContentSpecification><ContentType>DOCUMENT</ContentType><IsImportant>true</IsImportant>
<IsEncrypted>false</IsEncrypted></ContentSpecification></Message>"""


def ask_box(*addresses: str, trace: Callable[[ExchangeFacts], None] | None = None) -> mailbox.BoxInfo:
    platform = parties.platform(endpoints=dict.fromkeys(SERVICES, addresses))
    return mailbox.box_info(platform, ME, parties.assertion(), now=NOW, trace=trace)


def test_the_state_of_a_box_is_read_and_the_call_recorded_without_content() -> None:
    facts: list[ExchangeFacts] = []
    with answering(lambda _body: box(SUCCESS + BOX)) as (address, seen):
        found = ask_box(address, trace=facts.append)
    assert found == mailbox.BoxInfo("84011012387", "INSS", "DOCTOR", 3, 20480, 10485760)
    assert seen.headers[0]["SOAPAction"] == f'"{names.MAILBOX}:getBoxInfo"'
    check_envelope(etree.fromstring(seen.bodies[0]))
    (fact,) = facts
    assert (fact.service, fact.operation, fact.http_status, fact.code) == ("mailbox", "getBoxInfo", 200, "OK")
    assert fact.started >= NOW and len(fact.request_sha256) == len(fact.response_sha256) == 64
    assert parties.SSIN not in repr(fact)


def test_messages_are_listed_with_foreign_text_made_harmless() -> None:
    content = f"{SUCCESS}<Source>INBOX</Source>{MESSAGE}"
    with answering(lambda _body: box(content, "GetMessagesList")) as (address, seen):
        listed = mailbox.list_messages(
            parties.platform(address), ME, parties.assertion(), start=101, end=200, now=NOW
        )
    (found,) = listed
    assert (found.message_id, found.sender_name, found.size) == ("16000000AbC01", "H OPITAL", 2048)
    assert (found.important, found.encrypted, found.has_annex) == (True, False, True)
    assert found.expires == date(2026, 7, 14)
    check_envelope(etree.fromstring(seen.bodies[0]))
    assert b"<StartIndex>101</StartIndex><EndIndex>200</EndIndex>" in seen.bodies[0]


def test_an_empty_box_is_no_error_and_more_than_a_page_is_not_asked() -> None:
    with answering(lambda _body: box(SUCCESS, "GetMessagesList")) as (address, _):
        assert mailbox.list_messages(parties.platform(address), ME, parties.assertion(), now=NOW) == ()
    with pytest.raises(ValueError, match="100"):
        mailbox.list_messages(parties.platform(), ME, parties.assertion(), start=1, end=101, now=NOW)


def test_a_service_that_says_no_is_refused_with_its_code() -> None:
    status = "<Status><Code>810</Code><Message>no access</Message></Status>"
    with answering(lambda _body: box(status)) as (address, _), pytest.raises(Refused) as caught:
        ask_box(address)
    assert (caught.value.code, caught.value.details[0].message) == ("810", "no access")


BAD: dict[str, tuple[Answer, type[PlatformError]]] = {
    "another answer": (box(SUCCESS, "GetMessagesList"), Malformed),
    "another order": (box(BOX + SUCCESS), Malformed),
    "number that is none": (box(SUCCESS + BOX.replace("20480", "many")), Malformed),
    "success without a box": (box(SUCCESS), Malformed),
    "empty body": ((200, XML, soap("")), Malformed),
    "two elements": ((200, XML, soap("<a/><b/>")), Malformed),
    "no envelope": ((200, XML, b"<a/>"), Malformed),
    "SOAP 1.2": (
        (200, XML, soap("<a/>").replace(b"schemas.xmlsoap.org/soap/envelope/", b"w3.org/soap")),
        Malformed,
    ),
    "two bodies": ((200, XML, soap("<a/>").replace(b"<s:Body>", b"<s:Body/><s:Body>")), Malformed),
    "body within the body": ((200, XML, soap("<s:Body><a/></s:Body>")), NotAuthentic),
    "doubled identifiers": ((200, XML, soap('<a Id="1"><b Id="1"/></a>')), NotAuthentic),
    "truncated": ((200, XML, soap("<a/>")[:-4]), Malformed),
    "DTD": ((200, XML, b"<!DOCTYPE a>" + soap("<a/>")), Malformed),
    "success as an error": ((500, *box(SUCCESS + BOX)[1:]), Malformed),
    "fault as a success": ((200, *fault("SOA-03006")[1:]), Faulted),
}


@pytest.mark.parametrize("case", BAD)
def test_an_answer_against_the_contract_is_never_read(case: str) -> None:
    answer, expected = BAD[case]
    with answering(lambda _body: answer) as (address, _), pytest.raises(expected) as caught:
        ask_box(address)
    assert type(caught.value) is expected


def test_a_good_answer_to_another_question_is_not_an_empty_list() -> None:
    with (
        answering(lambda _body: box(SUCCESS)) as (address, _),
        pytest.raises(Malformed, match="another answer"),
    ):
        mailbox.list_messages(parties.platform(address), ME, parties.assertion(), now=NOW)


def test_a_fault_gives_its_code_and_whether_it_is_worth_another_try() -> None:
    cases = {
        ("SOA-01002", ""): False,
        ("SOA-02002", ""): True,
        ("SOA-02002", "<Retry>false</Retry>"): False,
        ("SOA-01002", "<Retry>true</Retry>"): True,
    }
    for (code, retry), expected in cases.items():
        with (
            answering(lambda _body, c=code, r=retry: fault(c, r)) as (address, _),
            pytest.raises(Faulted) as caught,
        ):
            ask_box(address)
        assert (caught.value.code, caught.value.message, caught.value.retry) == (code, "Not today", expected)


def test_the_next_address_is_asked_with_a_new_message_when_the_first_cannot_serve() -> None:
    facts: list[ExchangeFacts] = []
    with (
        answering(lambda _body: fault("SOA-02001")) as (first, _),
        answering(lambda _body: (503, {}, b"")) as (second, _),
        answering(lambda _body: box(SUCCESS + BOX)) as (third, seen),
    ):
        assert ask_box("http://127.0.0.1:9/", first, second, third, trace=facts.append).standby == 3
    assert [fact.code for fact in facts] == ["unreachable", "SOA-02001", "unreachable", "OK"]
    assert len({fact.request_sha256 for fact in facts}) == 4
    assert sorted({fact.started for fact in facts}) == [fact.started for fact in facts]
    assert len(seen.bodies) == 1


@pytest.mark.parametrize("answer", [fault("SOA-03006"), fault("SOA-02001", "<Retry>false</Retry>"), box(BOX)])
def test_the_next_address_is_left_alone_when_it_would_answer_the_same(answer: Answer) -> None:
    with (
        answering(lambda _body: answer) as (first, _),
        answering(lambda _body: box(SUCCESS + BOX)) as (second, seen),
        pytest.raises(PlatformError),
    ):
        ask_box(first, second)
    assert seen.bodies == []


def token(body: bytes, *, context: str = "", holder: bytes = b"") -> Answer:
    found = re.search(r'Context="([^"]+)"', body.decode())
    assert found
    xml = holder or parties.signed_by_xmlsec(parties.unsigned_assertion(ME))
    content = (
        f'<t:RequestSecurityTokenResponse xmlns:t="{names.WST}" Context="{context or found[1]}">'
        f"<t:TokenType>{names.SAML11}</t:TokenType><t:RequestedSecurityToken>@</t:RequestedSecurityToken>"
        "</t:RequestSecurityTokenResponse>"
    )
    return 200, XML, soap(content).replace(b"@", xml)


def test_a_token_is_requested_verified_and_kept_as_received() -> None:
    given = parties.signed_by_xmlsec(parties.unsigned_assertion(ME))
    with answering(lambda body: token(body, holder=given)) as (address, seen):
        found = sts.request_assertion(parties.platform(address), ME, now=NOW)
    assert (found.xml, found.nihii) == (given, parties.NIHII)
    check_envelope(etree.fromstring(seen.bodies[0]))
    claims = etree.fromstring(seen.bodies[0]).iter(f"{{{names.AUTH}}}ClaimType")
    assert len([claim for claim in claims if len(claim)]) == 2


def test_a_token_is_renewed_by_showing_it_byte_for_byte() -> None:
    held = parties.assertion()
    with answering(lambda body: token(body)) as (address, seen):
        found = sts.renew_assertion(parties.platform(address), ME, held, now=NOW)
    assert found.assertion_id != held.assertion_id and found.nihii == parties.NIHII
    (sent,) = seen.bodies
    assert sent.count(held.xml) == 1
    root = etree.fromstring(sent)
    check_envelope(root)
    request = root.find(f".//{{{names.WST}}}RequestSecurityToken")
    assert [etree.QName(child).localname for child in request] == [
        "TokenType", "RequestType", "RenewTarget", "Claims", "Lifetime", "KeyType", "UseKey",
    ]  # fmt: skip
    assert request.findtext(f"{{{names.WST}}}RequestType") == f"{names.WST}/Renew"
    path = f"{{{names.WST}}}RenewTarget/{{{names.WSSE}}}SecurityTokenReference/{{{names.WSSE}}}Embedded"
    (embedded,) = request.findall(path)
    assert embedded.get(f"{{{names.WSU}}}Id")
    assert [child.get("AssertionID") for child in embedded] == [held.assertion_id]


OTHERS = parties.attributes("71020203081")


def test_a_token_given_to_another_question_or_person_is_not_authentic() -> None:
    stranger = parties.signed_by_xmlsec(parties.unsigned_assertion(ME, claims=OTHERS))
    answers: list[Callable[[bytes], Answer]] = [
        lambda body: token(body, context="urn:uuid:other"),
        lambda body: token(body, holder=stranger),
        lambda body: token(body, holder=stranger + stranger),
    ]
    for answer in answers:
        with answering(answer) as (address, _), pytest.raises(NotAuthentic):
            sts.request_assertion(parties.platform(address), ME, now=NOW)
        with answering(answer) as (address, _), pytest.raises(NotAuthentic):
            sts.renew_assertion(parties.platform(address), ME, parties.assertion(), now=NOW)


def test_a_fault_of_the_trust_standard_gives_its_local_name() -> None:
    content = (
        "<s:Fault><faultcode>wst:FailedAuthentication</faultcode><faultstring>no</faultstring></s:Fault>"
    )
    with answering(lambda _body: (500, XML, soap(content))) as (address, _), pytest.raises(Faulted) as caught:
        sts.request_assertion(parties.platform(address), ME, now=NOW)
    assert (caught.value.code, caught.value.message, caught.value.retry) == (
        "FailedAuthentication",
        "no",
        False,
    )


def register(answer: Answer) -> tuple[registration.Answer, bytes]:
    with answering(lambda _body: answer) as (address, seen):
        given = registration.register(
            parties.platform(address), ME, parties.assertion(), request=declared(), now=NOW
        )
    return given, seen.bodies[0]


def test_an_accepted_registration_is_answered_with_its_references_and_proof() -> None:
    proof = f"<p:XadesT>{base64.b64encode(b'<proof/>').decode()}</p:XadesT>"
    answer, sent = register(ASKED.answered(verdict(ACCEPTED), proof=proof))
    assert answer == registration.Answer("SUCCESS", date(2026, 1, 15), (), "2026-1", "100-1", b"<proof/>")
    check_envelope(etree.fromstring(sent))
    assert register(ASKED.answered(verdict(ACCEPTED)))[0].xades_t is None


def test_a_retry_carries_the_same_reference_in_a_new_envelope() -> None:
    first, second = (register(ASKED.answered(verdict(ACCEPTED)))[1] for _ in range(2))
    reference = declared().reference
    assert first != second
    for sent in (first, second):
        assert f">{reference}<".encode() in sent
        assert f'Id="{declared().request_id}"'.encode() in sent
    assert declared("another").request_id != declared().request_id


@pytest.mark.parametrize("bits", [-15, 15])
@pytest.mark.parametrize("encoding", ["", ' ContentEncoding="deflate"'])
def test_a_deflated_content_is_read_raw_and_wrapped(bits: int, encoding: str) -> None:
    packed = deflated(verdict(ACCEPTED), bits)
    assert register(ASKED.answered(packed, encoding=encoding))[0].status == "SUCCESS"


@pytest.mark.parametrize(
    ("codes", "leading"),
    [(("168",), "168"), (("168", "111"), "111"), (("141",), "141"), (("140", "168"), "140")],
)
def test_a_refusal_is_already_registered_only_when_nothing_else_was_said(
    codes: tuple[str], leading: str
) -> None:
    with pytest.raises(Refused) as caught:
        register(ASKED.answered(verdict(rejected(*codes))))
    assert caught.value.code == leading
    assert [detail.code for detail in caught.value.details] == list(codes)
    assert caught.value.details[0].language == "fr"


@pytest.mark.parametrize("case", [*FALSE, *MISSHAPEN])
def test_a_false_answer_never_completes_a_registration(case: str) -> None:
    answer, expected = (FALSE | MISSHAPEN)[case]
    with pytest.raises(expected) as caught:
        register(answer(ASKED))
    assert type(caught.value) is expected


def test_a_content_that_unpacks_without_end_is_left_at_its_limit() -> None:
    with pytest.raises(Malformed, match="compression of the detail"):
        register(ASKED.packed(deflated(b"0" * 30_000_000, -15)))


def test_an_unknown_outcome_says_so() -> None:
    with pytest.raises(Unreachable) as caught:
        register((502, {}, b""))
    assert caught.value.sent
    assert TimedOut(sent=True).code == "timed_out"


def sealed_for(ssin: str, kind: str = "rsa") -> bytes:
    """An encryption token: CMS signed data around the certificate, made by cryptography."""
    signer, inner = parties.identity("rsa"), parties.identity(kind, ssin).certificate
    builder = pkcs7.PKCS7SignatureBuilder().set_data(inner.public_bytes(Encoding.DER))
    signed = builder.add_signer(signer.certificate, signer.private_key, hashes.SHA256())  # type: ignore[arg-type]
    return signed.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary])


def depot(code: str, etk_octets: bytes = b"") -> Answer:
    found = f"<k:ETK>{base64.b64encode(etk_octets).decode()}</k:ETK>" if etk_octets else ""
    asked = "<k:Identifier><k:Type>SSIN</k:Type><k:Value>1</k:Value></k:Identifier>"
    content = (
        f'<k:GetEtkResponse xmlns:k="{names.ETK}" xmlns:s="{names.STATUS}"><s:Status><Code>{code}</Code>'
        f'<Message Lang="EN">x</Message></s:Status>'
        f"<k:GivenSearchCriteria>{asked}</k:GivenSearchCriteria>{found}"
        "</k:GetEtkResponse>"
    )
    return 200, XML, soap(content)


def serial(answer: Answer) -> str | None:
    with answering(lambda _body: answer) as (address, seen):
        found = etk.encryption_serial(parties.platform(address), parties.SSIN, now=NOW)
    check_envelope(etree.fromstring(seen.bodies[0]))
    assert seen.headers[0]["SOAPAction"] == '""'
    return found


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_the_serial_of_the_published_certificate_is_read_from_the_token(kind: str) -> None:
    assert serial(depot("200", sealed_for(parties.SSIN, kind))) == "5"


def test_a_depot_without_a_token_gives_none_and_other_codes_are_refused() -> None:
    assert serial(depot("404")) is None
    with pytest.raises(Refused):
        serial(depot("500"))


def test_a_token_of_somebody_else_or_of_no_form_is_not_used() -> None:
    with pytest.raises(NotAuthentic):
        serial(depot("200", sealed_for("71020203081")))
    for octets in (b"\x30", b"\x30\x80\x00\x00", sealed_for(parties.SSIN)[:-400], b"garbage"):
        with pytest.raises(Malformed):
            serial(depot("200", octets))
