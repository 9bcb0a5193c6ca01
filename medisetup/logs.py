"""One line of JSON per event; no line breaks or escapes from outside, never a secret."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from accounts.origin import current_request

# NISS, INAMI numbers and Belgian IBANs that reach a text by accident.
NUMBERS = re.compile(
    r"\b(?:BE\d{2}(?:[ .-]?\d{4}){3}|\d{2}[. ]?\d{2}[. ]?\d{2}[-. ]?\d{3}[. ]?\d{2}|\d-\d{5}-\d{2}-\d{3})\b"
)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return json.dumps(
            {
                "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                "level": record.levelname,
                "logger": record.name,
                "request": current_request.get().request_id,
                "message": NUMBERS.sub("•••", text),
            },
            ensure_ascii=True,
        )
