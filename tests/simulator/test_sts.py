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


def renewal(who: Doctor, assertion: str) -> str:
    target = (
        "<wst:RenewTarget><wsse:SecurityTokenReference><wsse:Embedded>"
        f"{assertion}</wsse:Embedded></wsse:SecurityTokenReference></wst:RenewTarget>"
    )
    asked = token_request(who).replace(f"{WST}/Issue", f"{WST}/Renew")
    return asked.replace("<wst:Claims", f"{target}<wst:Claims")


def test_a_live_token_is_renewed_for_its_holder_alone(
    simulator: Simulator, elise: Doctor, token: str
) -> None:
    reply = post(simulator, STS_PATH, STS_ACTION, message(renewal(elise, token), elise))
    assert reply.status == 200 and assertion_of(reply) != token
    other = doctor(simulator, "71010101026", "10000008002")
    altered = token.replace(elise.ssin, "84011012388")
    cases = {
        "of somebody else": renewal(other, token),
        "altered": renewal(elise, altered),
        "without a target": token_request(elise).replace(f"{WST}/Issue", f"{WST}/Renew"),
    }
    for name, request in cases.items():
        who = other if name == "of somebody else" else elise
        refused = post(simulator, STS_PATH, STS_ACTION, message(request, who))
        assert refused.status == 500, name
        assert refused.code == ("SOA-03007" if name == "without a target" else "SOA-01001"), name
