"""The program itself: how it starts, refuses to start, misbehaves on order, dies and comes back."""

import gzip
import http.client
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12
from lxml import etree

from ehealth.simulator.__main__ import _parser
from ehealth.simulator.control import calm
from ehealth.simulator.faults import USUAL_SHARE
from tests.platform import ROOT, Simulator, write_people
from tests.simulator.messages import (
    BOX,
    BOX_INFO,
    BOX_PATH,
    REG_ACTION,
    REG_PATH,
    Doctor,
    ask_token,
    assertion_of,
    doctor,
    message,
    post,
    register,
    registration,
    verdict,
)

INFO = f'<c:GetBoxInfoRequest xmlns:c="{BOX}"/>'
GONE = (http.client.RemoteDisconnected, ConnectionResetError, http.client.IncompleteRead)


def get(simulator: Simulator, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def call(simulator: Simulator, who: Doctor, assertion: str, timeout: float = 30) -> object:
    return post(simulator, BOX_PATH, BOX_INFO, message(INFO, who, assertion), timeout=timeout)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_it_says_that_it_is_well(simulator: Simulator) -> None:
    assert get(simulator, "/health") == (200, b'{"status": "ok"}')
    assert get(simulator, "/nothing")[0] == 404
    assert get(simulator, BOX_PATH)[0] == 405


def test_a_connection_is_kept_for_many_calls(simulator: Simulator, elise: Doctor, token: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=30)
    headers = {"Content-Type": "text/xml", "SOAPAction": f'"{BOX_INFO}"'}
    try:
        for _ in range(5):
            connection.request("POST", BOX_PATH, etree.tostring(message(INFO, elise, token)), headers)
            first = connection.sock
            assert connection.getresponse().read()
            assert connection.sock is first is not None
    finally:
        connection.close()


def test_control_needs_the_token(simulator: Simulator) -> None:
    assert get(simulator, "/control/people")[0] == 403
    assert get(simulator, "/control/people", {"X-Control-Token": "guess"})[0] == 403
    assert (simulator.data / "control-token").stat().st_mode & 0o077 == 0
    with pytest.raises(RuntimeError, match="unknown kind"):
        simulator.fault("earthquake")
    with pytest.raises(RuntimeError, match="no shoe_size"):
        simulator.add_person("71010100531", shoe_size=44)
    with pytest.raises(RuntimeError, match="no such order"):
        simulator.control("dance", {})


@pytest.mark.parametrize(
    "variable",
    [
        {"EHEALTH_ENVIRONMENT": "production"},
        {"EHEALTH_ENVIRONMENT": "acceptance"},
        {"EHEALTH_BASE_URL": "https://services.ehealth.fgov.be"},
    ],
    ids=str,
)
def test_it_refuses_to_start_beside_real_settings(tmp_path: Path, variable: dict[str, str]) -> None:
    result = run("ehealth.simulator", "--data", str(tmp_path), **variable)
    assert result.returncode == 2
    assert "refusing to start" in result.stderr
    assert not (tmp_path / "port").exists()


def test_two_do_not_share_a_folder(simulator: Simulator) -> None:
    result = run("ehealth.simulator", "--data", str(simulator.data))
    assert result.returncode == 1
    assert "another simulator" in result.stderr


def test_it_loads_neither_django_nor_the_client() -> None:
    program = (
        "import sys, ehealth.simulator.__main__, ehealth.simulator.control\n"
        "loaded = [m for m in sys.modules if m.split('.')[0] in {'django', 'asn1crypto', 'zeep'} "
        "or m.startswith('ehealth.client')]\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_register_is_read_from_a_file_and_the_box_filled_once(tmp_path: Path) -> None:
    facts = {"first_name": "Anna", "last_name": "Maes", "nihii11": "10000007004", "messages": 7}
    write_people(tmp_path, {"71010100630": facts})
    with Simulator.start(tmp_path) as running:
        (person,) = running.control("people")["people"]
        assert (person["first_name"], person["doctor"]) == ("Anna", True)
        running.restart()
        who = doctor(running, "71010100630", "10000007004")
        payload = call(running, who, assertion_of(ask_token(running, who))).payload
        assert int(payload.findtext("CurrentSize")) > 0
        assert running.control("messages", {"ssin": who.ssin})["ids"][0].endswith("8")


def test_it_stops_cleanly_and_removes_its_port(tmp_path: Path) -> None:
    running = Simulator.start(tmp_path)
    assert (tmp_path / "port").exists()
    assert running.stop() == 0
    assert not (tmp_path / "port").exists()


def test_nothing_that_was_answered_is_lost_when_it_is_killed(tmp_path: Path) -> None:
    with Simulator.start(tmp_path) as running:
        who = doctor(running, "71010100729", "10000007004")
        assertion = assertion_of(ask_token(running, who))
        sent = message(registration(who, "100", reference="r"), who, assertion)
        seen = etree.tostring(message(INFO, who, assertion))
        assert post(running, BOX_PATH, BOX_INFO, seen).status == 200
        assert (
            verdict(register(running, who, assertion, registration(who, "100", reference="r")))[0]
            == "SUCCESS"
        )
        port = running.port
        running.kill()
        running.restart()
        assert running.port == port
        assert running.accepted() == {(who.nihii, "100"): 1}
        assert post(running, BOX_PATH, BOX_INFO, seen).code == "SOA-01001"
        reply = post(running, REG_PATH, REG_ACTION, sent)
        assert verdict(reply) == ("SUCCESS", [])
        assert running.accepted() == {(who.nihii, "100"): 1}


def test_an_order_counts_only_the_calls_it_is_for(simulator: Simulator, elise: Doctor, token: str) -> None:
    simulator.fault("soa", service="mailbox", value="SOA-02001", count=2)
    simulator.fault("soa", service="mailbox", value="SOA-00001", ssin="75062712377")
    assert ask_token(simulator, elise).status == 200
    codes = [call(simulator, elise, token).code for _ in range(3)]
    assert codes == ["SOA-02001", "SOA-02001", ""]


@pytest.mark.parametrize("kind", ["outage", "close-after-accept", "truncated"])
def test_connections_break_on_order(simulator: Simulator, elise: Doctor, token: str, kind: str) -> None:
    simulator.fault(kind, service="mailbox")
    with pytest.raises(GONE):
        call(simulator, elise, token)
    assert call(simulator, elise, token).status == 200


@pytest.mark.parametrize(("kind", "value"), [("delay", "20"), ("hang-after-accept", "20"), ("drip", "20")])
def test_answers_stay_away_on_order(
    simulator: Simulator, elise: Doctor, token: str, kind: str, value: str
) -> None:
    simulator.fault(kind, service="mailbox", value=value)
    with pytest.raises(TimeoutError):
        call(simulator, elise, token, timeout=0.5)


def test_an_accepted_registration_can_go_unanswered(simulator: Simulator) -> None:
    who = doctor(simulator, "71010100828", "10000106004")
    assertion = assertion_of(ask_token(simulator, who))
    simulator.fault("outage", service="registration", mutuality="100")
    with pytest.raises(GONE):
        register(simulator, who, assertion, registration(who, "100", reference="r"))
    assert (who.nihii, "100") not in simulator.accepted()
    simulator.fault("close-after-accept", service="registration", mutuality="100")
    with pytest.raises(GONE):
        register(simulator, who, assertion, registration(who, "100", reference="r"))
    assert simulator.accepted()[who.nihii, "100"] == 1
    assert (
        verdict(register(simulator, who, assertion, registration(who, "100", reference="r")))[0] == "SUCCESS"
    )


def test_strange_answers_come_on_order(simulator: Simulator, elise: Doctor, token: str) -> None:
    simulator.fault("redirect", service="mailbox", value="http://127.0.0.1:1/")
    reply = call(simulator, elise, token)
    assert (reply.status, reply.headers["Location"]) == (302, "http://127.0.0.1:1/")
    simulator.fault("garbage", service="mailbox")
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(call(simulator, elise, token).raw)
    simulator.fault("status", service="mailbox", value="502")
    assert call(simulator, elise, token).status == 502
    simulator.fault("gzip-bomb", service="mailbox")
    reply = call(simulator, elise, token)
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.raw) < 2_000_000 < len(gzip.decompress(reply.raw))
    before = call(simulator, elise, token).raw
    simulator.fault("replayed-answer", service="mailbox")
    assert call(simulator, elise, token).raw == before


def test_chance_spoils_a_share_of_the_calls(tmp_path: Path) -> None:
    with Simulator.start(tmp_path, faults=1, seed=4) as running:
        who = doctor(running, "71010100927", "10000007004")
        for _ in range(4):
            try:
                ask_token(running, who)
            except GONE:
                continue
        assert running.calls("sts", "answered") == 0
        running.control("settings", {"faults": 0})
        assert ask_token(running, who).status == 200
        assert running.calls("sts", "answered") == 1


def test_a_small_share_goes_wrong_where_nobody_says_otherwise(tmp_path: Path) -> None:
    assert _parser().parse_args(["--data", "x"]).faults == USUAL_SHARE
    assert 0 < USUAL_SHARE <= 0.05
    assert _parser().parse_args(["--data", "x", "--faults", "0"]).faults == 0


def test_chance_is_held_back_while_a_demonstration_is_furnished(simulator: Simulator) -> None:
    simulator.control("settings", {"faults": 0.5})
    try:
        with pytest.raises(KeyError), calm(simulator.data):
            assert simulator.control("settings")["faults"] == 0
            raise KeyError
        assert simulator.control("settings")["faults"] == 0.5
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            simulator.control("settings", {"faults": 2})
    finally:
        simulator.control("settings", {"faults": 0})


def test_the_clock_of_the_platform_can_be_off(tmp_path: Path) -> None:
    with Simulator.start(tmp_path, latency=5) as running:
        who = doctor(running, "71010101022", "10000007004")
        running.control("settings", {"clock_offset": 300})
        assert ask_token(running, who).code == "SOA-01001"
        running.control("settings", {"clock_offset": 0})
        started = time.monotonic()
        assert ask_token(running, who).status == 200
        assert time.monotonic() - started >= 0.005


def test_the_commands_work_from_a_shell(simulator: Simulator, tmp_path: Path) -> None:
    data = ("--data", str(simulator.data))
    control = "ehealth.simulator.control"
    facts = json.dumps({"ssin": "71010101121", "nihii11": "10000007004"})
    assert json.loads(run(control, *data, "person", facts).stdout)["doctor"] is True
    assert (
        len(
            json.loads(run(control, *data, "messages", "--ssin", "71010101121", "--count", "3").stdout)["ids"]
        )
        == 3
    )
    ordered = run(control, *data, "fault", "--kind", "soa", "--value", "SOA-02002", "--ssin", "71010101121")
    assert json.loads(ordered.stdout) == {"ordered": "soa"}
    assert json.loads(run(control, *data, "faults").stdout)["faults"][0]["remaining"] == 1
    assert run(control, *data, "clear").returncode == 0
    assert json.loads(run(control, *data, "faults").stdout) == {"faults": []}
    assert run(control, "--data", str(tmp_path), "calls").returncode == 1
    out = tmp_path / "anna.p12"
    made = run(
        "ehealth.simulator.pki",
        *data,
        *("--person", "71010101121", "--name", "Anna Maes", "--password", "secret", "--out", str(out)),
    )
    assert made.returncode == 0, made.stderr
    assert pkcs12.load_pkcs12(out.read_bytes(), b"secret").cert.friendly_name == b"authentication"
