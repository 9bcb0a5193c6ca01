"""The HTTP face of the simulator: paths of the platform, health, control, and the spoiling of answers."""

import gzip
import json
import socket
import socketserver
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ehealth.simulator import (
    control,
    etk,
    gateway,
    mailbox,
    page,
    publication,
    reading,
    registration,
    soap,
    sts,
)
from ehealth.simulator.faults import Fault
from ehealth.simulator.gateway import Answer, Operation, Service, Simulation
from ehealth.simulator.soap import WST, Refusal

STS_PROTOCOL = "urn:be:fgov:ehealth:sts:protocol:v1"

SERVICES = {
    "/IAM/SecurityTokenService/v1": Service(
        "sts",
        "x509",
        {
            f"{{{WST}}}RequestSecurityToken": Operation(
                "RequestSecurityToken", f"{STS_PROTOCOL}:RequestSecurityToken", sts.issue
            )
        },
    ),
    "/EtkDepot/v1": Service(
        "etk", "", {f"{{{etk.ETK}}}GetEtkRequest": Operation("GetEtk", "", etk.get)}, subject=etk.subject
    ),
    "/ehBoxConsultation/v3": Service(
        "mailbox",
        "saml",
        {
            f"{{{mailbox.BOX}}}GetBoxInfoRequest": Operation(
                "getBoxInfo", f"{mailbox.BOX}:getBoxInfo", mailbox.get_box_info
            ),
            f"{{{mailbox.BOX}}}GetMessagesListRequest": Operation(
                "getMessagesList", f"{mailbox.BOX}:getMessagesList", mailbox.get_messages_list
            ),
            f"{{{mailbox.BOX}}}GetFullMessageRequest": Operation(
                "getFullMessage", f"{mailbox.BOX}:getFullMessage", reading.get_full_message
            ),
            f"{{{mailbox.BOX}}}GetMessageAcknowledgmentsStatusRequest": Operation(
                "getMessageAcknowledgmentsStatus",
                f"{mailbox.BOX}:getMessageAcknowledgmentsStatus",
                reading.get_acknowledgments_status,
            ),
            f"{{{mailbox.BOX}}}MoveMessageRequest": Operation(
                "moveMessage", f"{mailbox.BOX}:moveMessage", mailbox.move_message
            ),
            f"{{{mailbox.BOX}}}DeleteMessageRequest": Operation(
                "deleteMessage", f"{mailbox.BOX}:deleteMessage", mailbox.delete_message
            ),
        },
    ),
    "/ehBoxPublication/v3": Service(
        "publication",
        "saml",
        {
            f"{{{publication.PUBLICATION}}}SendMessageRequest": Operation(
                "sendMessage", f"{publication.PUBLICATION}:sendMessage", publication.send_message
            ),
        },
    ),
    "/MyCareNet/Registration/v1": Service(
        "registration",
        "saml",
        {
            f"{{{registration.R}}}RegisterToMycarenetServiceRequest": Operation(
                "RegisterToMycarenetService",
                f"{registration.R}:RegisterToMycarenetService",
                registration.register,
            )
        },
        mutuality=registration.mutuality,
    ),
}
XML_TYPE = "text/xml; charset=UTF-8"
LARGEST_BODY = 1024 * 1024
LARGEST_DRAIN = 32 * 1024 * 1024


class PlatformServer(ThreadingHTTPServer):
    """Serves one simulation; ``token`` opens the control path."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulation: Simulation, token: str) -> None:
        super().__init__(address, Handler)
        self.simulation = simulation
        self.token = token

    def server_bind(self) -> None:
        """Binds without asking the name service who we are, which can take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "simulator", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away is nothing to report."""


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive between calls."""

    server: PlatformServer
    protocol_version = "HTTP/1.1"
    server_version = "medisetup-simulator"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 60

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The platform's own time, also in the head of its answers."""
        return super().date_time_string(timestamp or self.server.simulation.now().timestamp())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged: messages are about people."""

    def do_GET(self) -> None:
        """Health and the readable part of control."""
        if self.path == "/health":
            self._send(200, b'{"status": "ok"}', "application/json")
        elif self.path.startswith("/control/"):
            self._control(b"")
        elif self.path in SERVICES:
            self._send(405, b"", "text/plain", {"Allow": "POST"})
        else:
            self._send(404, b"", "text/plain")

    def do_POST(self) -> None:
        """A call of the platform, or an order."""
        body = self._body()
        if body is None:
            return
        if self.path.startswith("/control/"):
            self._control(body)
        elif self.path in SERVICES:
            self._call(SERVICES[self.path], body)
        else:
            self._send(404, b"", "text/plain")

    def _body(self) -> bytes | None:
        announced = self.headers.get("Content-Length", "")
        if not announced.isdigit() or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            self._send(411, b"", "text/plain")
            return None
        size = int(announced)
        if size <= LARGEST_BODY:
            return self.rfile.read(size)
        self._drain(size)
        self.close_connection = True
        self._send(500, soap.fault(Refusal("SOA-03001", "the message is too large")), XML_TYPE)
        return None

    def _drain(self, size: int) -> None:
        left = min(size, LARGEST_DRAIN)
        while left and (chunk := self.rfile.read(min(left, 65536))):
            left -= len(chunk)

    def _control(self, body: bytes) -> None:
        is_local = self.client_address[0] in {"127.0.0.1", "::1"}
        if is_local and page.serves(self.command, self.path):
            simulation, token = self.server.simulation, self.server.token
            reply = page.answer(simulation, token, self.command, self.path, self.headers, body)
            self._send(reply.status, reply.body, reply.kind, reply.headers)
            return
        given = self.headers.get("X-Control-Token", "")
        if not is_local or not control.same_token(given, self.server.token):
            self._send(403, b'{"error": "forbidden"}', "application/json")
            return
        status, result = control.obey(self.server.simulation, self.command, self.path, body)
        self._send(status, json.dumps(result).encode(), "application/json")

    def _call(self, service: Service, body: bytes) -> None:
        if self.headers.get_content_type() != "text/xml":
            refusal = Refusal("SOA-03002", "the content type must be text/xml")
            self._send(500, soap.fault(refusal), XML_TYPE)
            return
        try:
            answer = gateway.answer(self.server.simulation, service, self.headers.get("SOAPAction"), body)
        except Exception as error:  # the gateway of the platform answers whatever happens behind it
            refusal = Refusal("SOA-00001", type(error).__name__)
            answer = Answer(500, soap.fault(refusal))
        self._deliver(answer)

    def _deliver(self, answer: Answer) -> None:
        spoil = SPOILERS.get(answer.fault.kind)
        if spoil is None:
            self._send(answer.status, answer.body, getattr(answer.body, "kind", XML_TYPE))
        else:
            self.close_connection = True
            spoil(self, answer.fault, answer)

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), kind, headers)
        self.wfile.write(body)

    def _head(self, status: int, size: int, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def cut(self, fault: Fault, answer: Answer) -> None:
        """Closes the connection without a word."""
        self.connection.shutdown(socket.SHUT_RDWR)

    def hang(self, fault: Fault, answer: Answer) -> None:
        """Keeps the caller waiting, then closes."""
        time.sleep(fault.seconds(120))
        self.cut(fault, answer)

    def truncate(self, fault: Fault, answer: Answer) -> None:
        """Announces the whole answer, sends half."""
        self._head(answer.status, len(answer.body), XML_TYPE)
        self.wfile.write(answer.body[: len(answer.body) // 2])

    def drip(self, fault: Fault, answer: Answer) -> None:
        """Sends one byte at a time."""
        self._head(answer.status, len(answer.body), XML_TYPE)
        for index in range(len(answer.body)):
            self.wfile.write(answer.body[index : index + 1])
            time.sleep(fault.seconds(1))

    def garbage(self, fault: Fault, answer: Answer) -> None:
        """Sends something that is not XML."""
        self._send(200, b"\x00\xff<soap:Envelope garbage " * 20, XML_TYPE)

    def bomb(self, fault: Fault, answer: Answer) -> None:
        """Sends 200 MB of spaces, compressed."""
        body = gzip.compress(b" " * (200 * 1024 * 1024), compresslevel=1)
        self._send(200, body, XML_TYPE, {"Content-Encoding": "gzip"})

    def redirect(self, fault: Fault, answer: Answer) -> None:
        """Sends the caller elsewhere."""
        self._send(302, b"", "text/plain", {"Location": fault.value})

    def page(self, fault: Fault, answer: Answer) -> None:
        """Answers as a proxy in front of the platform would."""
        status = int(fault.value or 503)
        self._send(status, b"<html><body>Service Unavailable</body></html>", "text/html")

    def busy(self, fault: Fault, answer: Answer) -> None:
        """Asks the caller to stay away for a while."""
        self._send(503, b"", "text/html", {"Retry-After": fault.value or "3600"})


SPOILERS = {
    "outage": Handler.cut,
    "close-after-accept": Handler.cut,
    "hang-after-accept": Handler.hang,
    "truncated": Handler.truncate,
    "drip": Handler.drip,
    "garbage": Handler.garbage,
    "gzip-bomb": Handler.bomb,
    "redirect": Handler.redirect,
    "status": Handler.page,
    "busy": Handler.busy,
}
