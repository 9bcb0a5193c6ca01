"""What was typed when a session ended, or a second proof was due, in the middle of a form.

It waits sealed in the visitor's session, bound to one person and one page, and is given back once.
Never passwords, never files.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from uuid import UUID

from django.http import HttpRequest, QueryDict

from accounts.sealing import CannotOpen, sealer

SESSION_KEY = "kept_form"
SECONDS = 30 * 60
NEVER_KEPT = ("csrfmiddlewaretoken", "password", "phrase", "secret", "file_code")
LARGEST = 64 * 1024


def keep(request: HttpRequest, *, owner: UUID, secret: frozenset[str] = frozenset()) -> None:
    """Put the posted values aside, but for the `secret` fields and any that sound like one."""
    typed = {name: values for name, values in request.POST.lists() if _may_wait(name, secret)}
    content = json.dumps(typed).encode()
    if not typed or len(content) > LARGEST:
        return
    sealed = sealer().seal(content, **_place(request.path, owner))
    request.session[SESSION_KEY] = {
        "path": request.path,
        "until": int(time.time()) + SECONDS,
        "sealed": base64.b64encode(sealed).decode(),
    }


def give_back(request: HttpRequest, *, owner: UUID) -> QueryDict | None:
    """The values kept for this page and person, once; None when there are none."""
    waiting = request.session.get(SESSION_KEY)
    if not waiting or waiting["path"] != request.path:
        return None
    del request.session[SESSION_KEY]
    if waiting["until"] < time.time():
        return None
    try:
        content = sealer().open(base64.b64decode(waiting["sealed"]), **_place(request.path, owner))
    except CannotOpen:
        return None
    typed = QueryDict(mutable=True)
    for name, values in json.loads(content).items():
        typed.setlist(name, values)
    return typed


def _may_wait(name: str, secret: frozenset[str]) -> bool:
    return name not in secret and not any(word in name.casefold() for word in NEVER_KEPT)


def _place(path: str, owner: UUID) -> dict[str, Any]:
    return {
        "table": "session",
        "column": SESSION_KEY,
        "row": path.replace("|", ""),
        "owner": owner,
        "version": 1,
    }
