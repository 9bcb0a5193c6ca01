"""The token service: what it certifies, for whom, and what it refuses."""

import xmlsec
from lxml import etree

from tests.platform import Simulator
from tests.simulator.messages import (
    DOCTOR_CLAIMS,
    DS,
    ERR,
    SAML,
    SOAP,
    STS_ACTION,
    STS_PATH,
    WST,
    Doctor,
    Reply,
    ask_token,
    assertion_of,
    b64,
    doctor,
    message,
    post,
    token_request,
)


def attributes(assertion: str) -> dict[str, str]:
    root = etree.fromstring(assertion)
    return {a.get("AttributeName"): "".join(a.itertext()) for a in root.iter(f"{{{SAML}}}Attribute")}


def verify_with_xmlsec(assertion: str, pem: bytes) -> None:
    root = etree.fromstring(assertion)
    xmlsec.tree.add_ids(root, ["AssertionID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)
    context.verify(root.find(f"{{{DS}}}Signature"))


def test_a_doctor_gets_every_claim_in_the_order_asked(simulator: Simulator, elise: Doctor) -> None:
    found = attributes(assertion_of(ask_token(simulator, elise)))
    assert list(found)[2:] == list(DOCTOR_CLAIMS)
    assert list(found.values()) == [elise.ssin, elise.ssin, "true", elise.nihii, "true", "Élise", "Test"]


def test_the_assertion_verifies_with_another_implementation(simulator: Simulator, token: str) -> None:
    verify_with_xmlsec(token, simulator.sts_certificate)


def test_the_assertion_binds_the_key_of_the_caller(token: str, elise: Doctor) -> None:
    root = etree.fromstring(token)
    assert root[-1].tag == f"{{{DS}}}Signature"
    confirmation = root.find(f".//{{{SAML}}}SubjectConfirmation")
    assert confirmation.findtext(f".//{{{DS}}}X509Certificate") == b64(elise.certificate)
    assert confirmation.findtext(f"{{{SAML}}}ConfirmationMethod").endswith(":cm:holder-of-key")


def test_the_answer_echoes_the_context_and_is_valid(simulator: Simulator, elise: Doctor) -> None:
    request = token_request(elise)
    reply = post(simulator, STS_PATH, STS_ACTION, message(request, elise))
    assert reply.payload.tag == f"{{{WST}}}RequestSecurityTokenResponse"
    assert reply.payload.get("Context") in request


def test_a_p384_key_is_as_good(simulator: Simulator) -> None:
    karim = doctor(simulator, "75062712377", "10000007004", "p384")
    assert attributes(assertion_of(ask_token(simulator, karim)))[DOCTOR_CLAIMS[1]] == "10000007004"


def test_an_unknown_person_gets_a_token_without_number(simulator: Simulator, elise: Doctor) -> None:
    stranger = doctor(simulator, "90020200136", None, doctor=False)
    found = attributes(assertion_of(ask_token(simulator, stranger)))
    assert found[DOCTOR_CLAIMS[0]] == "false"
    assert DOCTOR_CLAIMS[1] not in found


def test_a_claim_nobody_can_certify_is_left_out(simulator: Simulator, elise: Doctor) -> None:
    request = token_request(elise, ("urn:be:fgov:person:ssin:nurse:boolean", *DOCTOR_CLAIMS))
    reply = post(simulator, STS_PATH, STS_ACTION, message(request, elise))
    assert "urn:be:fgov:person:ssin:nurse:boolean" not in attributes(assertion_of(reply))


def test_the_number_of_somebody_else_is_refused(simulator: Simulator, elise: Doctor) -> None:
    request = token_request(elise, asserted="75062712377")
    reply = post(simulator, STS_PATH, STS_ACTION, message(request, elise))
    assert reply.code == "SOA-01001"
    assert reply.root.findtext(f".//{{{SOAP}}}Fault/faultcode") == "wst:FailedAuthentication"


def test_a_key_of_somebody_else_is_refused(simulator: Simulator, elise: Doctor) -> None:
    other = doctor(simulator, "75062712377", "10000007004")
    request = token_request(elise, key=other.certificate)
    assert post(simulator, STS_PATH, STS_ACTION, message(request, elise)).code == "SOA-03007"


def test_malformed_requests_are_refused(simulator: Simulator, elise: Doctor) -> None:
    good = token_request(elise)
    for old, new in (
        ("/Issue<", "/Cancel<"),
        ("#SAMLV1.1<", "#SAMLV2.0<"),
        ("authclaims", "other"),
        ("PublicKey", "Bearer"),
    ):
        reply = post(simulator, STS_PATH, STS_ACTION, message(good.replace(old, new), elise))
        assert reply.code == "SOA-03007", (old, reply.raw)


def renewal(who: Doctor, held: str, *, targets: int = 1) -> str:
    target = (
        f'<wst:RenewTarget><wsse:SecurityTokenReference><wsse:Embedded wsu:Id="held">{held}</wsse:Embedded>'
        "</wsse:SecurityTokenReference></wst:RenewTarget>"
    )
    asked = token_request(who).replace("/Issue<", "/Renew<")
    return asked.replace("</wst:RequestType>", f"</wst:RequestType>{target * targets}")


def renew(simulator: Simulator, who: Doctor, payload: str) -> Reply:
    return post(simulator, STS_PATH, STS_ACTION, message(payload, who))


def test_a_token_that_is_alive_is_renewed_for_its_holder(simulator: Simulator, elise: Doctor) -> None:
    held = assertion_of(ask_token(simulator, elise))
    renewed = assertion_of(renew(simulator, elise, renewal(elise, held)))
    verify_with_xmlsec(renewed, simulator.sts_certificate)
    assert attributes(renewed) == attributes(held)
    assert etree.fromstring(renewed).get("AssertionID") != etree.fromstring(held).get("AssertionID")


def test_a_token_that_is_altered_expired_or_anothers_is_not_renewed(
    simulator: Simulator, elise: Doctor
) -> None:
    held = assertion_of(ask_token(simulator, elise))
    simulator.fault("expired-token", service="sts")
    old = assertion_of(ask_token(simulator, elise))
    karim = doctor(simulator, "75062712377", "10000007004", "p384")
    foreign = assertion_of(ask_token(simulator, karim))
    altered = held.replace(elise.nihii, "19999916002")
    assert altered != held
    for token in (altered, old, foreign):
        reply = renew(simulator, elise, renewal(elise, token))
        assert reply.code == "SOA-01001"
        assert reply.root.findtext(f".//{{{SOAP}}}Fault/faultcode") == "wst:InvalidSecurityToken"


def test_a_renewal_shows_exactly_one_token_and_an_issue_none(simulator: Simulator, elise: Doctor) -> None:
    held = assertion_of(ask_token(simulator, elise))
    good = renewal(elise, held)
    for payload in (
        token_request(elise).replace("/Issue<", "/Renew<"),
        good.replace("/Renew<", "/Issue<"),
        good.replace(held, "<auth:nothing/>"),
    ):
        assert renew(simulator, elise, payload).code == "SOA-03007"
    twice = renewal(elise, held, targets=2).replace('wsu:Id="held"', 'wsu:Id="first"', 1)
    assert renew(simulator, elise, twice).code == "SOA-01001"  # two elements of one identifier


def test_a_fault_has_the_shape_of_the_platform(simulator: Simulator, elise: Doctor) -> None:
    simulator.fault("soa", service="sts", value="SOA-02002")
    reply = ask_token(simulator, elise)
    assert reply.status == 500
    error = reply.root.find(f".//{{{ERR}}}SystemError")
    assert [etree.QName(child).localname for child in error] == [
        "Origin",
        "Code",
        "Message",
        "Retry",
        "Environment",
    ]
    assert [etree.QName(child).namespace for child in error] == [None, None, None, None, ERR]
    assert error.findtext("Retry") == "true"


def test_tokens_can_be_spoilt_on_order(simulator: Simulator, elise: Doctor) -> None:
    simulator.fault("wrong-signature", service="sts")
    spoilt = assertion_of(ask_token(simulator, elise))
    try:
        verify_with_xmlsec(spoilt, simulator.sts_certificate)
    except xmlsec.Error:
        pass
    else:
        raise AssertionError("the signature should not hold")
    simulator.fault("foreign-token", service="sts")
    assert elise.ssin not in attributes(assertion_of(ask_token(simulator, elise))).values()
    simulator.fault("expired-token", service="sts")
    conditions = etree.fromstring(assertion_of(ask_token(simulator, elise))).find(f"{{{SAML}}}Conditions")
    assert conditions.get("NotOnOrAfter") < etree.fromstring(assertion_of(ask_token(simulator, elise))).get(
        "IssueInstant"
    )
