"""How long to wait before the platform is asked again (SR-100): spread at random below what the plan says, so
that what failed together does not come back together; never sooner than the platform asked for.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

LEAST = timedelta(seconds=30)


def wait(plan: timedelta, *, asked: timedelta, least: timedelta = LEAST) -> timedelta:
    """Between `least` and `plan`, and not below `asked`; a plan that is shorter than `least` is kept."""
    room = max(plan - least, timedelta())
    spread = timedelta(seconds=secrets.randbelow(int(room.total_seconds()) + 1))
    return max(min(plan, least) + spread, asked)
