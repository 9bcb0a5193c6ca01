"""The control page: ``GET /control/`` shows what the simulator knows and lets a person order misbehaviour.

Opened with the control token, which becomes a cookie that scripts and other sites cannot use. Everything
works without script; what is shown is built as a tree, so that no text can become markup.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lxml import etree
from lxml.html import builder as E

from ehealth.simulator import control
from ehealth.simulator.faults import BUSINESS, KINDS, SERVICES
from ehealth.simulator.gateway import Simulation
from ehealth.simulator.soap import MESSAGES
from ehealth.simulator.store import MUTUALITIES

HTML, CSS = "text/html; charset=utf-8", "text/css; charset=utf-8"
COOKIE = "simulator-control"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MOST_ROWS = 200
FIELDS = ("service", "kind", "value", "ssin", "mutuality", "count")
SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STYLE = b"""
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; }
form.order { display: grid; gap: .75rem 1rem; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); }
label { display: block; font-weight: 600; }
input, select, button { box-sizing: border-box; font: inherit; min-height: 2.75rem; padding: .25rem .5rem; }
input, select { width: 100%; }
button { cursor: pointer; margin: .25rem 0; }
.order button { align-self: end; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid; padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; }
dt { font-weight: 600; }
.said { border: 2px solid; padding: .5rem .75rem; }
"""

Element = etree._Element
Form = dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What goes back to the browser."""

    status: int
    body: bytes
    kind: str = HTML
    headers: dict[str, str] = field(default_factory=lambda: dict(SAFE))


@dataclass(frozen=True)
class Visit:
    """A request for the page. ``headers`` answers ``get`` whatever the case of the name."""

    simulation: Simulation
    token: str
    headers: Any
    form: Form

    @property
    def is_open(self) -> bool:
        """Whether the browser showed the token before."""
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return False
        return COOKIE in cookies and control.same_token(cookies[COOKIE].value, derived(self.token, "cookie"))

    @property
    def is_from_here(self) -> bool:
        """Whether the address is that of this machine, and no other site made the browser post."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        same = origin is None or urlsplit(origin).netloc == host
        return urlsplit(f"//{host}").hostname in LOOPBACK and same


def derived(token: str, purpose: str) -> str:
    """A secret for one purpose, from which the control token cannot be found."""
    return hmac.new(token.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def serves(method: str, path: str) -> bool:
    """Whether this is for the page rather than an order in JSON."""
    return (method, path.partition("?")[0]) in ROUTES


def answer(simulation: Simulation, token: str, method: str, path: str, headers: Any, body: bytes) -> Reply:
    """The page, or the outcome of one of its forms."""
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return Reply(400, b"", "text/plain")
    visit = Visit(simulation, token, headers, {name: values[0].strip() for name, values in fields.items()})
    if not visit.is_from_here:
        return _opening("This page is for this machine alone.", 403)
    return ROUTES[method, path.partition("?")[0]](visit)


def _show(visit: Visit) -> Reply:
    return _page(visit) if visit.is_open else _opening()


def _style(visit: Visit) -> Reply:
    return Reply(200, STYLE, CSS)


def _open(visit: Visit) -> Reply:
    if not control.same_token(visit.form.get("token", ""), visit.token):
        return _opening("This is not the token. It stands in the file control-token of the simulator.", 403)
    cookie = f"{COOKIE}={derived(visit.token, 'cookie')}; Path=/control/; HttpOnly; SameSite=Strict"
    return Reply(303, b"", headers=SAFE | {"Location": "/control/", "Set-Cookie": cookie})


def _guarded(act: Callable[[Visit], None]) -> Callable[[Visit], Reply]:
    """A form of the page: for whoever opened it, from the page itself."""

    def carried_out(visit: Visit) -> Reply:
        proof = visit.form.get("proof", "")
        if not visit.is_open or not control.same_token(proof, derived(visit.token, "form")):
            return _opening("Open the page again, then repeat.", 403)
        try:
            act(visit)
        except (TypeError, ValueError) as error:
            return _page(visit, error=str(error))
        return Reply(303, b"", headers=SAFE | {"Location": "/control/"})

    return carried_out


def _order(visit: Visit) -> None:
    order = {name: visit.form.get(name, "") for name in FIELDS}
    if not order["count"].isdigit():
        raise ValueError("the number of calls must be a number, from 1")
    control.order_fault(visit.simulation, order)


def _cancel(visit: Visit) -> None:
    visit.simulation.store.cancel_fault(int(visit.form.get("id", "")))


def _cancel_all(visit: Visit) -> None:
    visit.simulation.store.clear_faults()


ROUTES: dict[tuple[str, str], Callable[[Visit], Reply]] = {
    ("GET", "/control/"): _show,
    ("GET", "/control/style.css"): _style,
    ("POST", "/control/open"): _open,
    ("POST", "/control/order"): _guarded(_order),
    ("POST", "/control/cancel"): _guarded(_cancel),
    ("POST", "/control/cancel-all"): _guarded(_cancel_all),
}


# What is shown.


def _document(title: str, *content: Element) -> bytes:
    page = E.HTML(
        E.HEAD(
            E.META(charset="utf-8"),
            E.META(name="viewport", content="width=device-width, initial-scale=1"),
            E.TITLE(title),
            E.LINK(rel="stylesheet", href="/control/style.css"),
        ),
        E.BODY(E.MAIN(E.H1("eHealth simulator"), *content)),
        lang="en",
    )
    return b"<!DOCTYPE html>" + etree.tostring(page, method="html", encoding="utf-8")


def _opening(error: str = "", status: int = 200) -> Reply:
    form = E.FORM(
        E.LABEL("Control token (file control-token of the simulator)", {"for": "token"}),
        E.INPUT(type="password", id="token", name="token", autocomplete="off", required="required"),
        E.BUTTON("Open", type="submit"),
        method="post",
        action="/control/open",
    )
    said = [E.P(error, {"class": "said", "role": "alert"})] if error else []
    return Reply(status, _document("Open · eHealth simulator", *said, form))


def _page(visit: Visit, error: str = "") -> Reply:
    simulation, proof = visit.simulation, derived(visit.token, "form")
    store = simulation.store
    said = [E.P(f"Not ordered: {error}", {"class": "said", "role": "alert"})] if error else []
    accepted = store.registrations()
    people = [vars(person) for person in store.people()]
    share = f"By chance, {simulation.faults.share:.0%} of the calls go wrong as well."
    content = [
        *said,
        E.H2("Order a misbehaviour"),
        _order_form(proof, visit.form if error else {}),
        E.P(share),
        E.DETAILS(E.SUMMARY("What each kind means"), _kinds()),
        *_table("Misbehaviours ordered", store.faults(), FAULT_COLUMNS, lambda row: _cancel_form(proof, row)),
        _form(proof, "cancel-all", E.BUTTON("Cancel all", type="submit")),
        *_table(f"Registrations accepted: {sum(row['count'] for row in accepted)}", accepted, ACCEPTED),
        *_table(f"People: {len(people)}", people, PEOPLE),
        *_table("Calls", store.calls(), CALLS),
    ]
    return Reply(422 if error else 200, _document("eHealth simulator", *content))


FAULT_COLUMNS = ("service", "kind", "value", "ssin", "mutuality", "remaining")
ACCEPTED = ("nihii", "mutuality", "count", "reference", "start_date", "accepted_at")
PEOPLE = ("ssin", "last_name", "first_name", "nihii11", "doctor", "authorised", "recognised", "registered")
CALLS = ("service", "operation", "ssin", "mutuality", "outcome", "count")


def _form(proof: str, action: str, *content: Element, **attributes: str) -> Element:
    hidden = E.INPUT(type="hidden", name="proof", value=proof)
    form: Element = E.FORM(hidden, *content, attributes, method="post", action=f"/control/{action}")
    return form


def _cancel_form(proof: str, row: dict[str, Any]) -> Element:
    number = E.INPUT(type="hidden", name="id", value=str(row["id"]))
    name = {"aria-label": f"Cancel {row['kind']}"}
    return _form(proof, "cancel", number, E.BUTTON("Cancel", name, type="submit"))


def _order_form(proof: str, given: Form) -> Element:
    codes = [*MESSAGES, *dict.fromkeys(code for found in BUSINESS.values() for code in found)]
    suggested = E.DATALIST(*(E.OPTION(value=code) for code in codes), id="values")
    return _form(
        proof,
        "order",
        _choice("kind", "What", KINDS, given),
        _choice("service", "Service", ("", *SERVICES), given),
        _entry("value", "Value", given, list="values"),
        suggested,
        _entry("ssin", "Only for this SSIN", given),
        _choice("mutuality", "Only for this mutuality", ("", *MUTUALITIES), given),
        _entry("count", "For so many calls", {"count": "1"} | given, inputmode="numeric"),
        E.BUTTON("Order", type="submit"),
        **{"class": "order"},
    )


def _choice(name: str, words: str, values: Iterable[str], given: Form) -> Element:
    choice = E.SELECT(id=name, name=name)
    for value in values:
        chosen = {"selected": "selected"} if given.get(name) == value else {}
        choice.append(E.OPTION(value or "any", chosen, value=value))
    labelled: Element = E.DIV(E.LABEL(words, {"for": name}), choice)
    return labelled


def _entry(name: str, words: str, given: Form, **attributes: str) -> Element:
    entry = E.INPUT(attributes, id=name, name=name, value=given.get(name, ""), autocomplete="off")
    labelled: Element = E.DIV(E.LABEL(words, {"for": name}), entry)
    return labelled


def _kinds() -> Element:
    kinds: Element = E.DL(*(part for kind, words in KINDS.items() for part in (E.DT(kind), E.DD(words))))
    return kinds


def _table(
    title: str,
    rows: list[dict[str, Any]],
    columns: tuple[str, ...],
    act: Callable[[dict[str, Any]], Element] | None = None,
) -> list[Element]:
    """Heading and table; only so many rows, and a line that says how many more there are."""
    name = title.partition(":")[0].lower().replace(" ", "-")
    if not rows:
        return [E.H2(title), E.P("None.")]
    heads = [E.TH(column.replace("_", " "), scope="col") for column in columns]
    body = E.TBODY()
    for row in rows[:MOST_ROWS]:
        cells = [E.TD(_said(row[column])) for column in columns]
        body.append(E.TR(*cells, *([E.TD(act(row))] if act else [])))
    table = E.TABLE(E.THEAD(E.TR(*heads, *([E.TD()] if act else []))), body)
    region = E.DIV(table, {"class": "scroll", "role": "region", "tabindex": "0", "aria-labelledby": name})
    more = [E.P(f"And {len(rows) - MOST_ROWS} more.")] if len(rows) > MOST_ROWS else []
    return [E.H2(title, id=name), region, *more]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
