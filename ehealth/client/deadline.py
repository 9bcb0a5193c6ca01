"""The end of a call that no server can postpone: one thread per process shuts the socket when the time is
over.

Read time-outs restart with every byte, so a server that drips bytes would outlive them. Shutting a duplicate
of the descriptor works at every stage, the TLS handshake included.
"""

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time


class Deadline:
    """The time limit of one call; `seconds` from now. Usable from the calling thread and the watching one."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.expired = False
        self._open = True
        self._source: socket.socket | None = None
        self._twin: socket.socket | None = None
        self._lock = threading.Lock()

    def remaining(self) -> float:
        """Seconds left, never below a millisecond, so that it always is a valid time-out."""
        return max(self.ends - time.monotonic(), 0.001)

    def over(self) -> bool:
        """Whether the time has passed, struck or not."""
        return self.expired or time.monotonic() >= self.ends

    def hold(self, source: socket.socket) -> None:
        """From now on this is the connection to shut; at once if the time is already over.

        Held by a descriptor of our own: a body without announced end outlives its connection object.
        """
        with self._lock:
            if source is self._source:
                return
            self._release()
            self._source, self._twin = source, source.dup()
            if self.expired:
                self._shut()

    def strike(self) -> None:
        """Shut the socket in use, unless the call has ended."""
        with self._lock:
            if self._open:
                self.expired = True
                self._shut()

    def close(self) -> None:
        """The call has ended: its socket may serve another one."""
        with self._lock:
            self._open = False
            self._release()

    def _release(self) -> None:
        if self._twin is not None:
            self._twin.close()
        self._source = self._twin = None

    def _shut(self) -> None:
        if self._twin is not None:
            with contextlib.suppress(OSError):
                self._twin.shutdown(socket.SHUT_RDWR)


class _Watchdog:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, Deadline]] = []
        self._order = itertools.count()
        self._started = False

    def watch(self, deadline: Deadline) -> None:
        with self._changed:
            if not self._started:
                threading.Thread(target=self._run, name="call-deadlines", daemon=True).start()
                self._started = True
            heapq.heappush(self._queue, (deadline.ends, next(self._order), deadline))
            if self._queue[0][2] is deadline:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            self._next().strike()

    def _next(self) -> Deadline:
        with self._changed:
            while True:
                wait = self._queue[0][0] - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait)


_watchdog = _Watchdog()


def watched(seconds: float) -> Deadline:
    """A deadline under watch."""
    deadline = Deadline(seconds)
    _watchdog.watch(deadline)
    return deadline


def _renew() -> None:
    global _watchdog
    _watchdog = _Watchdog()


os.register_at_fork(after_in_child=_renew)
