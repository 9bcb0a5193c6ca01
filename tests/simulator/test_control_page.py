"""The control page: who may open it, what it shows, what it orders, and that nothing else can make it act."""

import http.client
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import html5lib
import pytest

from tests.platform import Simulator
from tests.simulator.messages import Doctor, ask_token, assertion_of, register, registration, verdict

NUMBER = "71010101220"


@dataclass
class Visitor:
    """A browser, as far as the page can tell."""

    simulator: Simulator
    cookie: str = ""
    proof: str = ""

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.simulator.port, timeout=30)
        sent = {"Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"} | headers
        try:
            connection.request(method, f"/control/{path}", urlencode(form or {}), sent)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read().decode()
        finally:
            connection.close()

    def page(self) -> str:
        status, _headers, text = self.ask("GET", "")
        assert status == 200
        found = re.search(r'name="proof" value="(\w+)"', text)
        self.proof = found[1] if found else ""
        return text

    def post(self, path: str, **form: str) -> tuple[int, str]:
        status, _headers, text = self.ask("POST", path, {"proof": self.proof} | form)
        return status, text


def order(**changes: str) -> dict[str, str]:
    wish = {"kind": "soa", "value": "SOA-02001", "service": "mailbox", "ssin": NUMBER}
    return wish | {"mutuality": "", "count": "2"} | changes


@pytest.fixture
def stranger(simulator: Simulator) -> Visitor:
    return Visitor(simulator)


@pytest.fixture
def visitor(simulator: Simulator) -> Iterator[Visitor]:
    """Somebody who knows the token and has read the page."""
    one = Visitor(simulator)
    token = (simulator.data / "control-token").read_text().strip()
    status, headers, _text = one.ask("POST", "open", {"token": token})
    assert (status, headers["Location"]) == (303, "/control/")
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"]
    assert token not in headers["Set-Cookie"]
    one.cookie = headers["Set-Cookie"].partition(";")[0]
    one.page()
    yield one
    simulator.clear_faults()


def test_without_the_token_there_is_one_field_and_nothing_else(stranger: Visitor) -> None:
    page = stranger.page()
    assert page.count("<input") == 1 and 'type="password"' in page
    assert "SSIN" not in page and "proof" not in page
    status, headers, text = stranger.ask("POST", "open", {"token": "guess"})
    assert status == 403 and "Set-Cookie" not in headers and "not the token" in text


@pytest.mark.parametrize("cookie", ["simulator-control=guess", "simulator-control=", "a;b=;;=", 'x="'])
def test_a_wrong_cookie_opens_nothing(stranger: Visitor, cookie: str) -> None:
    stranger.cookie = cookie
    assert 'type="password"' in stranger.page()


def test_the_page_is_valid_runs_no_script_and_asks_nobody_else(visitor: Visitor) -> None:
    status, headers, text = visitor.ask("GET", "")
    assert status == 200
    html5lib.HTMLParser(strict=True).parse(text)
    assert "<script" not in text and "style=" not in text and "http:" not in text
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and headers["Cache-Control"] == "no-store"
    labels = set(re.findall(r'<label for="(\w+)"', text))
    assert set(re.findall(r'<(?:input|select)[^>]* id="(\w+)"', text)) == labels
    assert visitor.ask("GET", "style.css")[0] == 200


def test_orders_are_given_shown_and_cancelled(visitor: Visitor, simulator: Simulator) -> None:
    assert visitor.post("order", **order())[0] == 303
    assert visitor.post("order", **order(kind="outage", value=""))[0] == 303
    first, second = simulator.control("faults")["faults"]
    assert (first["kind"], first["value"], first["ssin"], first["remaining"]) == (
        "soa",
        "SOA-02001",
        NUMBER,
        2,
    )
    assert "SOA-02001" in visitor.page() and "Cancel outage" in visitor.page()
    assert visitor.post("cancel", id=str(first["id"]))[0] == 303
    assert simulator.control("faults")["faults"] == [second]
    assert visitor.post("cancel-all")[0] == 303
    assert simulator.control("faults")["faults"] == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "earthquake"}, "unknown kind"),
        ({"value": "SOA-99999"}, "unknown code"),
        ({"count": "0"}, "at least 1"),
        ({"count": "many"}, "number of calls"),
        ({"kind": "drip", "value": "-1"}, "not below 0"),
        ({"kind": "delay", "value": "nan"}, "not below 0"),
        ({"kind": "wrapped-signature", "value": "attic", "service": ""}, "can be moved into"),
        ({"kind": "expired-token", "value": "", "service": "mailbox"}, "for the service sts"),
    ],
)
def test_a_senseless_order_is_explained_and_what_was_typed_stays(
    visitor: Visitor, simulator: Simulator, wrong: dict[str, str], said: str
) -> None:
    status, text = visitor.post("order", **order(**wrong))
    assert status == 422 and said in text and f'value="{NUMBER}"' in text
    assert simulator.control("faults")["faults"] == []


def test_nobody_else_can_make_it_act(visitor: Visitor, simulator: Simulator) -> None:
    good = {"proof": visitor.proof} | order()
    attempts = [
        (good | {"proof": "guess"}, {}),
        (good | {"proof": ""}, {}),
        (good, {"Cookie": ""}),
        (good, {"Origin": "http://evil.example"}),
        (good, {"Origin": "null"}),
        (good, {"Host": "evil.example"}),
    ]
    for form, headers in attempts:
        assert visitor.ask("POST", "order", form, **headers)[0] == 403
    assert simulator.control("faults")["faults"] == []
    here = {"Origin": f"http://127.0.0.1:{simulator.port}"}
    assert visitor.ask("POST", "order", good, **here)[0] == 303


def test_reading_changes_nothing(visitor: Visitor, simulator: Simulator) -> None:
    assert visitor.ask("GET", "order?kind=outage&count=1")[0] == 403
    assert simulator.control("faults")["faults"] == []


def test_people_calls_and_registrations_are_shown_and_names_are_no_markup(
    visitor: Visitor, simulator: Simulator, elise: Doctor
) -> None:
    simulator.add_person(NUMBER, first_name="<b>Anna</b>", nihii11="10000007004")
    assertion = assertion_of(ask_token(simulator, elise))
    assert verdict(register(simulator, elise, assertion, registration(elise, "200")))[0] == "SUCCESS"
    page = visitor.page()
    assert "&lt;b&gt;Anna&lt;/b&gt;" in page and "<b>" not in page
    count = sum(simulator.accepted().values())
    assert f"Registrations accepted: {count}" in page
    assert re.search(rf"<td>{elise.nihii}</td><td>200</td><td>1</td>", page)
    assert "RegisterToMycarenetService" in page
