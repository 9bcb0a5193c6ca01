"""Small real HTTP servers on loopback: one answers as told, one writes any bytes at any pace."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]
XML = {"Content-Type": "text/xml; charset=UTF-8"}


@dataclass
class Seen:
    """What reached a server."""

    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def answering(answer: Callable[[bytes], Answer]) -> Iterator[tuple[str, Seen]]:
    """A server that gives `answer(request body)`."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.bodies.append(body)
            seen.headers.append(dict(self.headers))
            status, headers, content = answer(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/service", seen
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def misbehaving(
    behave: Callable[[socket.socket, threading.Event], None], *, peek: bool = False
) -> Iterator[str]:
    """A server that reads (or only awaits) what comes first, then leaves each connection to `behave`."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536, socket.MSG_PEEK if peek else 0)
                behave(connection, over)
            except OSError:
                return

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/service"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
