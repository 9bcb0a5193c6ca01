"""What web, workers and beat do before all else: look whether they may start (security SR-127), and see to it
that no copy of their memory, where keys are opened, comes to lie on a disk (SR-76).
"""

from __future__ import annotations

import logging
import resource

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection

from medisetup import checks

logger = logging.getLogger(__name__)


class UnsafeStart(ImproperlyConfigured):
    """Every reason not to start, a line each."""


def refuse_unsafe() -> None:
    """Raise `UnsafeStart` unless the settings are safe and the database is as new as the program.

    A database that does not answer is no reason: it comes back, and nothing is served without it. From now on
    neither this process nor its children leave a core file.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reasons = [told.msg for told in run_checks(include_deployment_checks=True) if told.is_serious()]
    try:
        reasons += [told.msg for told in checks.migrations_are_applied([DEFAULT_DB_ALIAS])]
    except OperationalError:
        logger.warning("the database does not answer; its migrations were not looked at")
    finally:
        connection.close()  # processes that are forked off have their own
    if reasons:
        raise UnsafeStart("refuses to start\n" + "\n".join(reasons))
