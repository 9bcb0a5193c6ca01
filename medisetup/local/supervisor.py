"""Starts children in order, keeps them running, ends them in reverse order."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import FrameType
from typing import Any

from medisetup.local.process import Child, Program, tick
from medisetup.local.trouble import Trouble

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Somebody asked for the end (Ctrl-C, SIGTERM, SIGHUP); not an error."""


class Post:
    """One place in the row of children: who stands there now, and when a fallen one is started again."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.falls = 0
        self.again_at: float | None = None

    def fell(self, now: float) -> float:
        """Note the end of the child; return the seconds to wait, doubled with each quick fall."""
        steady = now - self.child.started > STEADY_SECONDS
        self.falls = 1 if steady else self.falls + 1
        wait: float = min(FIRST_PAUSE * 2 ** (self.falls - 1), LONGEST_PAUSE)
        self.again_at = now + wait
        return wait


class Supervisor:
    """The row of children. Use as a context manager: leaving it ends every child, last one first.

    A signal is only noted; it takes effect as `Ended` at the next `pause`, so that no child is ever started
    and forgotten. `inherit` are descriptors that every child keeps open.
    """

    def __init__(self, *, inherit: Sequence[int] = (), say: Callable[[str], None] | None = None) -> None:
        self.inherit = inherit
        self.say = say or speak
        self.posts: list[Post] = []
        self.end_asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Supervisor":
        for number in ENDING:
            self._before[number] = signal.signal(number, self._note_end)
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop_all()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def start(self, program: Program) -> Child:
        """Start a child and wait until it is ready; tell how long it took."""
        return self.start_together([program])[0]

    def start_together(self, programs: Sequence[Program]) -> list[Child]:
        """Start children that do not need each other, then wait until each is ready."""
        children = []
        for program in programs:
            child = Child.start(program, keep_open=self.inherit)
            self.posts.append(Post(child))
            children.append(child)
        for child in children:
            seconds = child.wait_ready(self.pause)
            self.say(f"{child.program.name} … prêt ({french(seconds)})")
        return children

    def run(self, program: Program) -> str:
        """Run a program that ends by itself; return what it wrote. `Trouble` when it fails."""
        child = Child.start(replace(program, ready=lambda: False), keep_open=self.inherit)
        try:
            while child.running:
                self.pause()
        finally:
            child.stop()
        if child.process.returncode:
            raise Trouble(
                f"{program.name} a échoué ({program.log}) :\n{child.last_lines(25)}\n",
                f"{program.name} failed, see the lines above.",
            )
        self.say(f"{program.name} … fait ({french(time.monotonic() - child.started)})")
        return child.last_lines(200)

    def watch(self) -> None:
        """Keep the children running until somebody asks for the end (`Ended`) or one that matters ends."""
        while True:
            for post in self.posts:
                self.look_after(post)
            self.pause()

    def look_after(self, post: Post) -> None:
        """Start a fallen child again when its time has come; `Trouble` when it may not fall."""
        now = time.monotonic()
        if post.again_at is not None:
            if now >= post.again_at:
                post.again_at = None
                post.child = Child.start(post.child.program, keep_open=self.inherit)
        elif not post.child.running:
            self._report_fall(post, now)

    def _report_fall(self, post: Post, now: float) -> None:
        child, name = post.child, post.child.program.name
        child.kill_group()
        about = f"code {child.process.returncode}, {child.program.log}"
        told = f"{name} s'est arrêté ({about}) :\n{child.last_lines()}"
        if not child.program.restarts:
            raise Trouble(told, f"{name} ended; everything else is stopped too.")
        self.say(f"{told}\n{name} … redémarre dans {french(post.fell(now))}")

    def pause(self) -> None:
        """A short rest in which a wish to end is heard."""
        if self.end_asked:
            raise Ended
        tick()

    def stop_all(self) -> None:
        """End every child in reverse order; a second signal changes nothing."""
        while self.posts:
            post = self.posts.pop()
            began = time.monotonic()
            post.child.stop()
            self.say(f"{post.child.program.name} … arrêté ({french(time.monotonic() - began)})")

    def _note_end(self, number: int, frame: FrameType | None) -> None:
        self.end_asked = True


def french(seconds: float) -> str:
    return f"{seconds:.1f} s".replace(".", ",")


def speak(line: str) -> None:
    """A line for whoever watches; the terminal may be gone already."""
    with suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
