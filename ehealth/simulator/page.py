"""The page that steers a running simulator from a browser: what it received, and how it shall misbehave.

Opened with the token of the control path, which a form exchanges for a cookie. No script; forms of other
sites are refused by the cookie's SameSite and by the Origin they would carry.
"""

import html
from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from ehealth.simulator import control
from ehealth.simulator.faults import KINDS, SERVICES
from ehealth.simulator.gateway import Simulation
from ehealth.simulator.soap import MESSAGES
from ehealth.simulator.store import MUTUALITIES

PATH = "/control/"
COOKIE = "control"
STYLE_PATH = "/control/style.css"
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; margin-block: .5rem 1.5rem; }
:is(th, td) { text-align: start; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8888; }
form { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; margin-block: .5rem 1rem; }
label { display: grid; gap: .25rem; }
:is(input, select, button) { font: inherit; padding: .35rem .5rem; min-height: 2.75rem; }
.wide { overflow-x: auto; }
"""
ORDERS = {"fault": "/control/faults", "clear": "/control/faults/clear", "settings": "/control/settings"}


def knows(cookie: str, token: str) -> bool:
    """Whether the Cookie header carries the token."""
    try:
        found = SimpleCookie(cookie).get(COOKIE)
    except CookieError:
        return False
    return found is not None and control.same_token(found.value, token)


def is_own(origin: str | None, host: str | None) -> bool:
    """Whether a form was sent from this page: by its Origin, which browsers always add to a POST."""
    return origin is not None and host is not None and urlsplit(origin).netloc == host


def fields(body: bytes) -> dict[str, str]:
    """The first value of each field of a form."""
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def obey(simulation: Simulation, form: Mapping[str, str]) -> str:
    """Carry out what a form orders; what went wrong, or an empty text."""
    path = ORDERS.get(form.get("order", ""))
    if path is None:
        return "no such order"
    order = {name: value for name, value in form.items() if name != "order" and value}
    if "count" in order:
        order["count"] = order["count"] if order["count"].isdigit() else "0"
    status, result = control.carry_out(simulation, path, order)
    return "" if status == 200 else str(result["error"])


def closed(problem: str = "") -> bytes:
    """The page before the token is given."""
    return _page(
        f"{_problem(problem)}<p>The token is in the file <code>control-token</code> of the simulator's "
        "folder.</p>"
        f'<form method="post" action="{PATH}"><label>Control token<input name="token" type="password" '
        'autocomplete="off" required></label><button>Open</button></form>'
    )


def opened(simulation: Simulation, problem: str = "") -> bytes:
    """The page itself."""
    settings = control.carry_out(simulation, "/control/settings", {})[1]
    return _page(
        _problem(problem)
        + "<h2>Misbehave</h2>"
        + _fault_form()
        + "<h3>Ordered</h3>"
        + _table(simulation.store.faults())
        + f'<form method="post" action="{PATH}"><button name="order" value="clear">Cancel all</button></form>'
        + "<h2>By chance, clock, latency</h2>"
        + _settings_form(settings)
        + "<h2>Accepted registrations</h2>"
        + _table(simulation.store.registrations())
        + "<h2>Calls</h2>"
        + _table(simulation.store.calls())
    )


def _problem(text: str) -> str:
    return f'<p role="alert"><strong>{html.escape(text)}</strong></p>' if text else ""


def _fault_form() -> str:
    kinds = "".join(
        f'<option value="{kind}">{kind}: {html.escape(words)}</option>' for kind, words in KINDS.items()
    )
    codes = "".join(f'<option value="{code}">' for code in MESSAGES)
    return (
        f'<form method="post" action="{PATH}"><input type="hidden" name="order" value="fault">'
        f'<label>Kind<select name="kind">{kinds}</select></label>'
        f'<label>Value<input name="value" list="codes"></label><datalist id="codes">{codes}</datalist>'
        f"<label>Service{_select('service', SERVICES)}</label>"
        '<label>Person (SSIN)<input name="ssin" inputmode="numeric" size="12"></label>'
        f"<label>Mutuality{_select('mutuality', MUTUALITIES)}</label>"
        '<label>For so many calls<input name="count" type="number" min="1" value="1"></label>'
        "<button>Order</button></form>"
    )


def _select(name: str, values: Iterable[str]) -> str:
    options = "".join(f"<option>{value}</option>" for value in values)
    return f'<select name="{name}"><option value="">all</option>{options}</select>'


def _settings_form(settings: Mapping[str, object]) -> str:
    labels = {
        "faults": "Share of calls that go wrong (0 to 1)",
        "latency": "Latency (ms)",
        "clock_offset": "Clock ahead (s)",
    }
    inputs = "".join(
        f'<label>{label}<input name="{name}" type="number" step="any" value="{settings[name]}"></label>'
        for name, label in labels.items()
    )
    hidden = '<input type="hidden" name="order" value="settings">'
    return f'<form method="post" action="{PATH}">{hidden}{inputs}<button>Set</button></form>'


def _table(rows: list[dict[str, object]]) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'


def _page(content: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>eHealth simulator</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="{STYLE_PATH}"></head>'
        f"<body><main><h1>eHealth simulator</h1>{content}</main></body></html>"
    ).encode()
