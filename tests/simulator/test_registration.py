"""MyCareNet Registration: what is accepted, once, and every business answer."""

import base64
import zlib
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from lxml import etree

from tests.platform import Simulator
from tests.simulator.messages import (
    DS,
    REG,
    Doctor,
    P,
    T,
    ask_token,
    assertion_of,
    business,
    details,
    doctor,
    register,
    registration,
    verdict,
    xades,
)

IBAN = "BE80001000000177"
NUMBERS = count(100101)


@pytest.fixture
def fresh(simulator: Simulator) -> Iterator[Doctor]:
    """A general practitioner who was never registered."""
    number = next(NUMBERS)
    nihii = f"{number}{97 - number % 97:02d}004"
    first = f"80{number % 10000:04d}001"[:9]
    yield doctor(simulator, f"{first}{97 - int(first) % 97:02d}", nihii, "no-encryption")


@pytest.fixture
def pass_(simulator: Simulator, fresh: Doctor) -> str:
    """The token of that doctor."""
    return assertion_of(ask_token(simulator, fresh))


def test_a_registration_is_accepted_and_counted(simulator: Simulator, fresh: Doctor, pass_: str) -> None:
    reply = register(simulator, fresh, pass_, registration(fresh, "100", identifier="first"))
    assert verdict(reply) == ("SUCCESS", [])
    answer = details(reply)
    assert answer[1].get("startDate")
    assert reply.payload.get("InResponseTo") == "first"
    assert simulator.accepted()[fresh.nihii, "100"] == 1


def test_a_p384_key_signs_as_well(simulator: Simulator) -> None:
    karim = doctor(simulator, "75062712377", "10000007004", "p384")
    assertion = assertion_of(ask_token(simulator, karim))
    assert verdict(register(simulator, karim, assertion, registration(karim, "100"))) == ("SUCCESS", [])


def test_the_answer_carries_a_signature_of_mycarenet(simulator: Simulator, fresh: Doctor, pass_: str) -> None:
    reply = register(simulator, fresh, pass_, registration(fresh, "100"))
    result = reply.payload.find(f"{{{P}}}Return")
    seal = etree.fromstring(base64.b64decode(result.findtext(f"{{{P}}}XadesT")))
    assert seal.find(f".//{{{DS}}}Reference").get("URI") == f"#{result.find(f'{{{P}}}Detail').get('Id')}"


def test_the_same_reference_gets_the_first_result_again(
    simulator: Simulator, fresh: Doctor, pass_: str
) -> None:
    for _ in range(3):
        reply = register(simulator, fresh, pass_, registration(fresh, "200", reference="r-1"))
        assert verdict(reply) == ("SUCCESS", [])
    assert simulator.accepted()[fresh.nihii, "200"] == 1


def test_without_reference_the_identifier_of_the_message_counts(
    simulator: Simulator, fresh: Doctor, pass_: str
) -> None:
    for _ in range(2):
        reply = register(simulator, fresh, pass_, registration(fresh, "200", identifier="same"))
        assert verdict(reply) == ("SUCCESS", [])
    assert simulator.accepted()[fresh.nihii, "200"] == 1


def test_another_reference_or_account_is_already_registered(
    simulator: Simulator, fresh: Doctor, pass_: str
) -> None:
    register(simulator, fresh, pass_, registration(fresh, "300", reference="r-1"))
    again = registration(fresh, "300", reference="r-2")
    assert verdict(register(simulator, fresh, pass_, again)) == ("ERROR", ["168"])
    other = registration(fresh, "300", business(fresh.nihii, "BE68539007547034"), reference="r-1")
    assert verdict(register(simulator, fresh, pass_, other)) == ("ERROR", ["168"])
    assert simulator.accepted()[fresh.nihii, "300"] == 1


def test_an_older_registration_answers_168(simulator: Simulator, fresh: Doctor, pass_: str) -> None:
    simulator.add_person(fresh.ssin, registered=["400"])
    assert verdict(register(simulator, fresh, pass_, registration(fresh, "400"))) == ("ERROR", ["168"])
    assert verdict(register(simulator, fresh, pass_, registration(fresh, "500"))) == ("SUCCESS", [])
    assert (fresh.nihii, "400") not in simulator.accepted()


def test_a_mutuality_that_does_not_know_the_doctor_answers_141(
    simulator: Simulator, fresh: Doctor, pass_: str
) -> None:
    simulator.add_person(fresh.ssin, recognised=["100"])
    reply = register(simulator, fresh, pass_, registration(fresh, "900"))
    assert verdict(reply) == ("ERROR", ["141"])
    assert details(reply).findtext(f".//{{{T}}}DetailSource") == "900"
    assert verdict(register(simulator, fresh, pass_, registration(fresh, "100"))) == ("SUCCESS", [])


def test_a_specialist_is_not_entitled(simulator: Simulator) -> None:
    specialist = doctor(simulator, "75062712377", "10000007580")
    assertion = assertion_of(ask_token(simulator, specialist))
    reply = register(simulator, specialist, assertion, registration(specialist, "100"))
    assert verdict(reply) == ("ERROR", ["140"])


@pytest.mark.parametrize(
    ("iban", "bic", "service", "code"),
    [
        (None, None, "GMD", "100"),
        ("", None, "GMD", "100"),
        ("BE80001000000178", None, "GMD", "111"),
        ("BE80 0010 0000 0177", None, "GMD", "111"),
        ("be80001000000177", None, "GMD", "111"),
        (IBAN, "gebabebb", "GMD", "111"),
        (IBAN, "GEBA", "GMD", "111"),
        (IBAN, "GEBABEBB", "", "100"),
        (IBAN, "GEBABEBB", "EAT", "130"),
    ],
)
def test_bad_values_are_named(
    simulator: Simulator,
    fresh: Doctor,
    pass_: str,
    iban: str | None,
    bic: str | None,
    service: str,
    code: str,
) -> None:
    content = business(fresh.nihii, iban, bic, service)
    assert verdict(register(simulator, fresh, pass_, registration(fresh, "100", content))) == (
        "ERROR",
        [code],
    )
    assert (fresh.nihii, "100") not in simulator.accepted()


def test_another_number_than_the_envelope_or_the_token_is_named(
    simulator: Simulator, fresh: Doctor, pass_: str
) -> None:
    inside = registration(fresh, "100", business("10000007004", IBAN))
    assert verdict(register(simulator, fresh, pass_, inside)) == ("ERROR", ["155"])
    both = registration(fresh, "100", business("10000007004", IBAN), nihii="10000007004")
    assert verdict(register(simulator, fresh, pass_, both)) == ("ERROR", ["155"])
    short = registration(fresh, "100", business("19999915", IBAN))
    assert verdict(register(simulator, fresh, pass_, short)) == ("ERROR", ["111"])


def test_deflated_content_is_understood(simulator: Simulator, fresh: Doctor, pass_: str) -> None:
    content = business(fresh.nihii, IBAN)
    squeezer = zlib.compressobj(wbits=-15)
    raw = squeezer.compress(content.encode()) + squeezer.flush()
    proof = xades(content.encode(), fresh, deflated=True)
    sent = registration(fresh, "600", content, raw=raw, encoding="deflate", proof=proof)
    assert verdict(register(simulator, fresh, pass_, sent)) == ("SUCCESS", [])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"licence": ("medisetup", "simulation", "wrong")}, "SOA-01002"),
        ({"is_test": "false"}, "SOA-03007"),
        ({"proof": b""}, "SOA-03007"),
        ({"proof": b"<x/>"}, "SOA-03007"),
        ({"raw": b"not xml"}, "SOA-03007"),
        ({"encoding": "zip"}, "SOA-03007"),
        ({"encoding": "deflate"}, "SOA-03007"),
    ],
    ids=str,
)
def test_requests_that_are_wrong_around_the_content_are_refused(
    simulator: Simulator, fresh: Doctor, pass_: str, change: dict[str, object], code: str
) -> None:
    assert register(simulator, fresh, pass_, registration(fresh, "100", **change)).code == code


def test_only_the_seven_mutualities_exist(simulator: Simulator, fresh: Doctor, pass_: str) -> None:
    assert register(simulator, fresh, pass_, registration(fresh, "150")).code == "SOA-03007"


def test_the_inner_signature_must_be_the_doctors_own(
    simulator: Simulator, elise: Doctor, fresh: Doctor, pass_: str
) -> None:
    content = business(fresh.nihii, IBAN).encode()
    other_text = business(fresh.nihii, "BE68539007547034").encode()
    swapped = xades(content, fresh).split(b"<ds:SignatureValue>")
    swapped[1] = swapped[1].replace(swapped[1][:4], b"AAAA", 1)
    proofs = (
        xades(content, elise),
        xades(other_text, fresh),
        xades(content, fresh, chain=False),
        xades(content, fresh, age=timedelta(days=2)),
        b"<ds:SignatureValue>".join(swapped),
    )
    for proof in proofs:
        assert register(simulator, fresh, pass_, registration(fresh, "100", proof=proof)).code == "SOA-03007"
    assert (fresh.nihii, "100") not in simulator.accepted()


def test_a_business_document_outside_its_schema_is_refused(
    simulator: Simulator, fresh: Doctor, pass_: str
) -> None:
    content = business(fresh.nihii, IBAN).replace("StartDateTime", "Begin")
    assert register(simulator, fresh, pass_, registration(fresh, "100", content)).code == "SOA-03006"
    missing = registration(fresh, "100").replace("<p:Routing>", f'<p:Other xmlns="{REG}"/><p:Routing>')
    assert register(simulator, fresh, pass_, missing).code == "SOA-03006"


def test_answers_can_be_shaped_on_order(simulator: Simulator, fresh: Doctor, pass_: str) -> None:
    simulator.fault("no-xades", service="registration")
    reply = register(simulator, fresh, pass_, registration(fresh, "100", reference="a"))
    assert reply.payload.find(f"{{{P}}}Return/{{{P}}}XadesT") is None
    simulator.fault("deflate", service="registration")
    reply = register(simulator, fresh, pass_, registration(fresh, "100", reference="a"))
    detail = reply.payload.find(f"{{{P}}}Return/{{{P}}}Detail")
    assert detail.get("ContentEncoding") == "deflate"
    assert b"SUCCESS" in zlib.decompress(base64.b64decode(detail.text), wbits=-15)
    simulator.fault("business", service="registration", value="141", ssin=fresh.ssin, mutuality="200")
    assert verdict(register(simulator, fresh, pass_, registration(fresh, "300"))) == ("SUCCESS", [])
    assert verdict(register(simulator, fresh, pass_, registration(fresh, "200"))) == ("ERROR", ["141"])
