"""Every code that the platform may answer can be ordered, for one person, one mutuality, so many calls."""

import re

import pytest
from lxml import etree

from ehealth.simulator.faults import BUSINESS, MOVED_INTO, ONLY_AT
from ehealth.simulator.soap import MESSAGES
from ehealth.simulator.store import MUTUALITIES
from ehealth.simulator.wrapping import FORGED_NUMBER
from tests.platform import Simulator
from tests.simulator.messages import (
    BOX,
    BOX_INFO,
    BOX_PATH,
    SAML,
    Doctor,
    ask_token,
    assertion_of,
    message,
    post,
    register,
    registration,
    verdict,
)

INFO = f'<c:GetBoxInfoRequest xmlns:c="{BOX}"/>'


@pytest.mark.parametrize("service", ["sts", "mailbox", "registration"])
@pytest.mark.parametrize("code", MESSAGES)
def test_each_code_of_the_gateway_can_be_ordered(
    simulator: Simulator, elise: Doctor, token: str, service: str, code: str
) -> None:
    simulator.fault("soa", service=service, value=code, ssin=elise.ssin)
    reply = {
        "sts": lambda: ask_token(simulator, elise),
        "mailbox": lambda: post(simulator, BOX_PATH, BOX_INFO, message(INFO, elise, token)),
        "registration": lambda: register(simulator, elise, token, registration(elise, "100")),
    }[service]()
    assert (reply.status, reply.code) == (500, code)


@pytest.mark.parametrize("mutuality", MUTUALITIES)
def test_each_business_code_can_be_ordered_of_one_mutuality(
    simulator: Simulator, elise: Doctor, token: str, mutuality: str
) -> None:
    before = simulator.accepted()
    for code in BUSINESS["registration"]:
        simulator.fault("business", service="registration", value=code, mutuality=mutuality)
        reply = register(simulator, elise, token, registration(elise, mutuality))
        assert verdict(reply) == ("ERROR", [code])
    assert simulator.accepted() == before


@pytest.mark.parametrize("code", BUSINESS["mailbox"])
def test_each_business_code_of_the_mailbox_can_be_ordered(
    simulator: Simulator, elise: Doctor, token: str, code: str
) -> None:
    simulator.fault("business", service="mailbox", value=code)
    reply = post(simulator, BOX_PATH, BOX_INFO, message(INFO, elise, token))
    assert reply.payload.findtext("Status/Code") == code


@pytest.mark.parametrize("moved_into", ["", *MOVED_INTO])
def test_a_forged_token_stands_where_it_is_read_and_the_signed_one_elsewhere(
    simulator: Simulator, elise: Doctor, moved_into: str
) -> None:
    simulator.fault("wrapped-signature", value=moved_into)
    answer = etree.fromstring(ask_token(simulator, elise).raw)
    first, second = answer.iter(f"{{{SAML}}}Assertion")
    assert (first.get("AssertionID"), second.get("AssertionID")[:1]) == ("_forged", "_")
    assert FORGED_NUMBER in etree.tostring(first).decode().partition("Advice")[0]
    assert elise.nihii in etree.tostring(second).decode()
    reference = re.search(rb'Reference URI="#(\w+)"', etree.tostring(answer))
    assert reference and reference[1].decode() == second.get("AssertionID")


@pytest.mark.parametrize("kind", ONLY_AT)
def test_what_concerns_one_service_waits_for_it(
    simulator: Simulator, elise: Doctor, token: str, kind: str
) -> None:
    simulator.fault(kind)
    assert simulator.control("faults")["faults"][0]["service"] == ONLY_AT[kind]
    assert post(simulator, BOX_PATH, BOX_INFO, message(INFO, elise, token)).status == 200
    assert simulator.control("faults")["faults"][0]["remaining"] == 1
    with pytest.raises(RuntimeError, match="is for the service"):
        simulator.fault(kind, service="mailbox")


def test_a_token_may_be_for_another_platform_time(simulator: Simulator, elise: Doctor) -> None:
    usual = assertion_of(ask_token(simulator, elise))
    simulator.fault("clock", service="sts", value=300)
    ahead = assertion_of(ask_token(simulator, elise))
    start = re.compile(r'NotBefore="([^"]+)"')
    assert start.search(ahead)[1] > start.search(usual)[1]
