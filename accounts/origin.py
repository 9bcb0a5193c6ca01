"""Where the act in progress came from; free of models, so that the logs may ask before anything is loaded."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class RequestFacts:
    """Request id and shortened address (/24 or /48)."""

    request_id: str = ""
    address: str = ""


NOWHERE = RequestFacts()
current_request: ContextVar[RequestFacts] = ContextVar("current_request", default=NOWHERE)
