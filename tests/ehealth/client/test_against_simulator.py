"""The client and the running simulator, which share nothing but the contract files, understand each other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from ehealth.client import etk, mailbox, publication, registration, sts
from ehealth.client.errors import Faulted, Refused
from ehealth.client.platform import Identity, Licence, Platform, certificates
from tests.platform import LICENCE, PASSWORD, Simulator

PATHS = {
    "sts": "/IAM/SecurityTokenService/v1",
    "etk": "/EtkDepot/v1",
    "mailbox": "/ehBoxConsultation/v3",
    "publication": "/ehBoxPublication/v3",
    "registration": "/MyCareNet/Registration/v1",
}
DOCTORS = {"rsa": ("84011012387", "19999915004"), "p384": ("71020203081", "19999816004")}
STRANGER = "90010100134"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator.start(tmp_path_factory.mktemp("platform")) as running:
        for kind, (ssin, nihii) in DOCTORS.items():
            running.add_person(ssin, first_name=kind, last_name="Test", nihii11=nihii, registered=["300"])
        running.add_person(STRANGER, first_name="Nobody", last_name="Test", doctor=False)
        yield running


@pytest.fixture(scope="module")
def platform(simulator: Simulator) -> Platform:
    return Platform(
        environment="simulation",
        endpoints={service: (simulator.base_url + path,) for service, path in PATHS.items()},
        issuers=certificates(simulator.issuing_ca),
        sts_certificates=certificates(simulator.sts_certificate),
        licence=Licence(*LICENCE),
        is_test=True,
        user_agent="medisetup/test",
    )


def identity(simulator: Simulator, ssin: str, kind: str = "rsa") -> Identity:
    opened = pkcs12.load_pkcs12(simulator.keystore(ssin, kind), PASSWORD.encode())
    assert opened.cert is not None
    issuers = [extra.certificate for extra in opened.additional_certs]
    leaf = opened.cert.certificate
    chain = (leaf, *(one for one in issuers if one.subject == leaf.issuer))
    return Identity(ssin, opened.key, chain)  # type: ignore[arg-type]


def declared(ssin: str, nihii: str, mutuality: str, reference: str) -> registration.Registration:
    return registration.Registration(
        nihii=nihii, ssin=ssin, first_name="Élise", last_name="Test", mutuality=mutuality,
        iban="BE80001000000177", bic="GEBABEBB", reference=reference, start_date=date(2026, 1, 15),
    )  # fmt: skip


@pytest.mark.parametrize("kind", DOCTORS)
def test_a_doctor_gets_a_token_reads_the_box_and_registers(
    simulator: Simulator, platform: Platform, kind: str
) -> None:
    ssin, nihii = DOCTORS[kind]
    one = identity(simulator, ssin, kind)
    now = datetime.now(UTC)
    token = sts.request_assertion(platform, one, now=now)
    assert token.nihii == nihii
    assert token.not_on_or_after - now > timedelta(hours=23)

    simulator.add_messages(ssin, 120)
    assert mailbox.box_info(platform, one, token, now=datetime.now(UTC)).box_id == ssin
    first = mailbox.list_messages(platform, one, token, now=datetime.now(UTC))
    rest = mailbox.list_messages(platform, one, token, start=101, end=200, now=datetime.now(UTC))
    assert (len(first), len(rest)) == (100, 20)
    assert len({message.message_id for message in first + rest}) == 120

    request = declared(ssin, nihii, "100", f"reference-{kind}")
    answer = registration.register(platform, one, token, request=request, now=datetime.now(UTC))
    assert answer.status == "SUCCESS" and answer.start_date is not None
    assert answer.xades_t


@pytest.mark.parametrize("kind", DOCTORS)
def test_a_token_is_renewed_and_a_message_to_oneself_comes_and_goes(
    simulator: Simulator, platform: Platform, kind: str
) -> None:
    ssin, nihii = DOCTORS[kind]
    one = identity(simulator, ssin, kind)
    held = sts.request_assertion(platform, one, now=datetime.now(UTC))
    token = sts.renew_assertion(platform, one, held, now=datetime.now(UTC))
    assert token.nihii == nihii and token.assertion_id != held.assertion_id
    made = publication.send(platform, one, token, title="Essai", content=b"<\xff>", now=datetime.now(UTC))
    newest, *_ = mailbox.list_messages(platform, one, token, now=datetime.now(UTC))
    assert (newest.message_id, newest.title, newest.sender_id) == (made.message_id, "Essai", ssin)
    found = mailbox.full_message(platform, one, token, message_id=made.message_id, now=datetime.now(UTC))
    assert (found.content, found.publication_id) == (b"<\xff>", made.publication_id)
    (row,) = mailbox.acknowledgments(platform, one, token, message_id=made.message_id, now=datetime.now(UTC))
    assert row.recipient_id == ssin and row.published and row.received and row.read
    ids = [made.message_id]
    moved = mailbox.move(
        platform, one, token, source="INBOX", destination="BININBOX", message_ids=ids, now=datetime.now(UTC)
    )
    gone = mailbox.delete(platform, one, token, source="BININBOX", message_ids=ids, now=datetime.now(UTC))
    assert moved == gone == tuple(ids)
    with pytest.raises(Faulted, match="SOA-03007"):
        mailbox.full_message(platform, one, token, message_id=made.message_id, now=datetime.now(UTC))


def test_a_message_with_an_annex_is_read_from_its_parts(simulator: Simulator, platform: Platform) -> None:
    ssin, _ = DOCTORS["rsa"]
    one = identity(simulator, ssin)
    token = sts.request_assertion(platform, one, now=datetime.now(UTC))
    (identifier,) = simulator.add_messages(ssin, 1, size=3_000_000)
    found = mailbox.full_message(platform, one, token, message_id=identifier, now=datetime.now(UTC))
    assert len(found.content) + sum(len(annex.content) for annex in found.annexes) == 3_000_000
    assert b"\r\n--" in found.content and len(found.annexes) == 1


def test_an_altered_or_foreign_token_is_not_renewed(simulator: Simulator, platform: Platform) -> None:
    mine, other = (identity(simulator, DOCTORS["rsa"][0]) for _ in range(2))
    token = sts.request_assertion(platform, other, now=datetime.now(UTC))
    altered = replace(token, xml=token.xml.replace(DOCTORS["rsa"][1].encode(), b"19999916002"))
    for one, held in ((mine, token), (other, altered)):
        with pytest.raises(Faulted, match="SOA-01001"):
            sts.renew_assertion(platform, one, held, now=datetime.now(UTC))


def test_a_repeated_reference_is_one_registration_and_a_second_one_is_already_registered(
    simulator: Simulator, platform: Platform
) -> None:
    ssin, nihii = DOCTORS["rsa"]
    one = identity(simulator, ssin)
    token = sts.request_assertion(platform, one, now=datetime.now(UTC))
    for _ in range(2):
        request = declared(ssin, nihii, "200", "the-same")
        registration.register(platform, one, token, request=request, now=datetime.now(UTC))
    for reference, mutuality in (("another", "200"), ("first", "300")):
        request = declared(ssin, nihii, mutuality, reference)
        with pytest.raises(Refused) as caught:
            registration.register(platform, one, token, request=request, now=datetime.now(UTC))
        assert caught.value.code == "168"
    assert simulator.accepted()[(nihii, "200")] == 1


def test_somebody_unknown_as_a_physician_gets_a_token_without_a_number(
    simulator: Simulator, platform: Platform
) -> None:
    token = sts.request_assertion(platform, identity(simulator, STRANGER), now=datetime.now(UTC))
    assert token.nihii is None


def test_another_persons_token_does_not_fit_the_key(simulator: Simulator, platform: Platform) -> None:
    mine, other = identity(simulator, DOCTORS["rsa"][0]), identity(simulator, STRANGER)
    token = sts.request_assertion(platform, other, now=datetime.now(UTC))
    with pytest.raises(Faulted, match="SOA-01001"):
        mailbox.box_info(platform, mine, token, now=datetime.now(UTC))


def test_a_clock_that_is_wrong_by_an_hour_is_not_let_in(simulator: Simulator, platform: Platform) -> None:
    with pytest.raises(Faulted, match="SOA-01001"):
        sts.request_assertion(
            platform, identity(simulator, STRANGER), now=datetime.now(UTC) - timedelta(hours=1)
        )


def test_a_wrong_licence_is_refused_by_the_platform(simulator: Simulator, platform: Platform) -> None:
    ssin, nihii = DOCTORS["rsa"]
    one = identity(simulator, ssin)
    token = sts.request_assertion(platform, one, now=datetime.now(UTC))
    wrong = replace(platform, licence=Licence(LICENCE[0], LICENCE[1], "wrong"))
    with pytest.raises((Faulted, Refused)):
        registration.register(
            wrong, one, token, request=declared(ssin, nihii, "500", "x"), now=datetime.now(UTC)
        )
    assert (nihii, "500") not in simulator.accepted()


def test_the_depot_gives_the_serial_that_is_an_alias_of_the_keystore(
    simulator: Simulator, platform: Platform
) -> None:
    ssin, _ = DOCTORS["rsa"]
    opened = pkcs12.load_pkcs12(simulator.keystore(ssin), PASSWORD.encode())
    aliases = {(extra.friendly_name or b"").decode() for extra in opened.additional_certs}
    found = etk.encryption_serial(platform, ssin, now=datetime.now(UTC))
    assert found in aliases
    assert etk.encryption_serial(platform, "00000000097", now=datetime.now(UTC)) is None
