"""Steering a running simulator: the orders it obeys under ``/control/``, and the command that gives them.

``python -m ehealth.simulator.control --data DIR fault --service registration --kind outage --count 3``
"""

import argparse
import base64
import hmac
import http.client
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ehealth.simulator import mailbox, pki
from ehealth.simulator.faults import KINDS, ONLY_AT, SERVICES, check_order
from ehealth.simulator.gateway import Simulation
from ehealth.simulator.store import Person

Json = dict[str, Any]


def same_token(given: str, expected: str) -> bool:
    """Whether the caller knows the token, compared in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def person_from(facts: Json) -> Person:
    """A person from JSON; ``ValueError`` for a fact that people do not have."""
    unknown = set(facts) - {field.name for field in fields(Person)}
    if unknown or not facts.get("ssin"):
        raise ValueError(f"a person has no {', '.join(sorted(unknown))}" if unknown else "ssin is needed")
    return Person(**facts)


def order_fault(simulation: Simulation, order: Json) -> Json:
    """Orders a misbehaviour; ``ValueError`` for one that makes no sense."""
    service: str = order.get("service", "")
    kind, value = order["kind"], str(order.get("value", ""))
    count = int(order.get("count", 1))
    check_order(service, kind, value, count)
    service = ONLY_AT.get(kind, service)
    target = order.get("ssin", ""), order.get("mutuality", "")
    simulation.store.add_fault(service, kind, value, *target, count)
    return {"ordered": kind}


def _clear_faults(simulation: Simulation, order: Json) -> Json:
    simulation.store.clear_faults()
    return {}


def _person(simulation: Simulation, order: Json) -> Json:
    """Adds a person, or changes the facts given of one that is known."""
    known = simulation.store.person(order.get("ssin", ""))
    person_from(order)
    person = replace(known, **order) if known else person_from(order)
    simulation.store.put_person(person)
    return asdict(person)


def _messages(simulation: Simulation, order: Json) -> Json:
    extras = {name: order[name] for name in ("title", "size", "box", "expires") if name in order}
    count = int(order.get("count", 1))
    today = simulation.now().date()
    return {"ids": mailbox.seed(simulation.store, order["ssin"], count, today, **extras)}


def _keystore(simulation: Simulation, order: Json) -> Json:
    """Makes a keystore for a person of the register and publishes its encryption token."""
    person = simulation.store.person(order["ssin"]) or Person(order["ssin"])
    made = pki.issue(
        simulation.pki,
        ssin=person.ssin,
        first_name=order.get("first_name") or person.first_name or "TEST",
        last_name=order.get("last_name") or person.last_name or "PERSON",
        password=order["password"],
        kind=order.get("kind", "rsa"),
    )
    if made.etk and order.get("publish", True):
        simulation.store.publish_etk(person.ssin, made.etk)
    return {"p12": base64.b64encode(made.p12).decode(), "serial": str(made.serial)}


def _revoke(simulation: Simulation, order: Json) -> Json:
    simulation.store.revoke(int(order["serial"]))
    return {}


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError("the share of calls that go wrong lies between 0 and 1")
    return share


def _settings(simulation: Simulation, order: Json) -> Json:
    if "faults" in order:
        simulation.faults.share = _share(order["faults"])
    if "clock_offset" in order:
        simulation.clock_offset = float(order["clock_offset"])
    if "latency" in order:
        simulation.latency = float(order["latency"]) / 1000
    return {
        "faults": simulation.faults.share,
        "clock_offset": simulation.clock_offset,
        "latency": simulation.latency * 1000,
    }


ORDERS: dict[tuple[str, str], Callable[[Simulation, Json], Json]] = {
    ("POST", "/control/faults"): order_fault,
    ("GET", "/control/faults"): lambda simulation, _: {"faults": simulation.store.faults()},
    ("POST", "/control/faults/clear"): _clear_faults,
    ("POST", "/control/people"): _person,
    ("GET", "/control/people"): lambda sim, _: {"people": [asdict(person) for person in sim.store.people()]},
    ("POST", "/control/messages"): _messages,
    ("POST", "/control/keystores"): _keystore,
    ("POST", "/control/revocations"): _revoke,
    ("POST", "/control/settings"): _settings,
    ("GET", "/control/settings"): _settings,
    ("GET", "/control/registrations"): lambda sim, _: {"registrations": sim.store.registrations()},
    ("GET", "/control/calls"): lambda sim, _: {"calls": sim.store.calls()},
}


def obey(simulation: Simulation, method: str, path: str, body: bytes) -> tuple[int, Json]:
    """Carries out one order; HTTP status and JSON answer."""
    order = ORDERS.get((method, path))
    if order is None:
        return 404, {"error": "no such order"}
    try:
        return 200, order(simulation, json.loads(body) if body else {})
    except (KeyError, TypeError, ValueError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}


def give(data: Path, path: str, order: Json | None = None, timeout: float = 30) -> Json:
    """Gives an order to the simulator that runs on ``data``; ``RuntimeError`` when it refuses.

    With no ``order`` it only asks (GET).
    """
    port = int((data / "port").read_text())
    token = (data / "control-token").read_text().strip()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        body = None if order is None else json.dumps(order)
        headers = {"X-Control-Token": token}
        connection.request("GET" if order is None else "POST", f"/control/{path}", body, headers)
        response = connection.getresponse()
        result: Json = json.loads(response.read())
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(result.get("error", str(response.status)))
    return result


@contextmanager
def calm(data: Path) -> Iterator[None]:
    """While inside, nothing goes wrong by chance at the simulator that runs on ``data``."""
    share = give(data, "settings")["faults"]
    give(data, "settings", {"faults": 0})
    try:
        yield
    finally:
        give(data, "settings", {"faults": share})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ehealth.simulator.control", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the running simulator")
    commands = parser.add_subparsers(dest="command", required=True)
    kinds = "; ".join(f"{kind}: {words}" for kind, words in KINDS.items())
    fault = commands.add_parser("fault", help="order a misbehaviour", epilog=kinds)
    fault.add_argument("--service", choices=SERVICES, default="")
    fault.add_argument("--kind", choices=list(KINDS), required=True)
    fault.add_argument("--value", default="")
    fault.add_argument("--ssin", default="", help="only calls of or about this person")
    fault.add_argument("--mutuality", default="")
    fault.add_argument("--count", type=int, default=1, help="for so many calls")
    commands.add_parser("clear", help="cancel every misbehaviour ordered")
    person = commands.add_parser("person", help="add or change a person of the register")
    person.add_argument("facts", type=json.loads, help='JSON, e.g. {"ssin": "84011012387", "doctor": true}')
    messages = commands.add_parser("messages", help="put messages in a mailbox")
    messages.add_argument("--ssin", required=True)
    messages.add_argument("--count", type=int, default=1)
    revoke = commands.add_parser("revoke", help="refuse a certificate from now on")
    revoke.add_argument("serial", type=int)
    settings = commands.add_parser("settings", help="change what was set at start")
    settings.add_argument("--faults", type=float, help="share of calls that go wrong, 0 to 1")
    settings.add_argument("--latency", type=float, help="milliseconds before each answer")
    settings.add_argument("--clock-offset", type=float, help="seconds the platform's clock is ahead")
    for question in ("faults", "people", "registrations", "calls"):
        commands.add_parser(question, help=f"list {question}")
    return parser


PATHS = {
    "fault": "faults",
    "clear": "faults/clear",
    "person": "people",
    "messages": "messages",
    "revoke": "revocations",
    "settings": "settings",
}


def main() -> int:
    """Runs the command; prints the simulator's answer as JSON."""
    options = vars(_parser().parse_args())
    data, command = options.pop("data"), options.pop("command")
    order = options.pop("facts", None) or {
        name: value for name, value in options.items() if value is not None
    }
    try:
        result = give(data, PATHS.get(command, command), order if command in PATHS else None)
    except (OSError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
