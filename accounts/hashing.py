"""How passwords are hashed: Argon2id, a bounded number at once, over the NFC form."""

from __future__ import annotations

import os
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.passwords import canonical_password

# Each hash takes its own 64 MiB: a crowd signing in waits its turn instead of eating the memory. Fewer than a
# process has threads, or it would limit nothing.
AT_ONCE = BoundedSemaphore(2)


class Argon2(Argon2PasswordHasher):
    """64 MiB, three passes, one lane per core up to four (RFC 9106, second choice)."""

    memory_cost = 64 * 1024
    time_cost = 3
    parallelism = min(4, os.cpu_count() or 1)

    def encode(self, password: str, salt: str) -> str:
        with AT_ONCE:
            return super().encode(canonical_password(password), salt)

    def verify(self, password: str, encoded: str) -> bool:
        with AT_ONCE:
            return super().verify(canonical_password(password), encoded)
