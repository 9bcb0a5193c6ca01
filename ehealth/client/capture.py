"""Every message as it went over the wire, for whoever wants to check them; of the simulator alone.

The files hold people's numbers and the licence of the software: no other environment may have them.
"""

import os
import time
from pathlib import Path


def keep(folder: Path, service: str, operation: str, request: bytes, reply: bytes, content_type: str) -> None:
    """Write a request and its answer, if there was one, in files whose names sort by time of sending.

    An answer with attachments ends in `.mime` and begins with its Content-Type.
    """
    stem = f"{time.time_ns():020}-{os.getpid()}-{service}-{operation.replace('/', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}-request.xml").write_bytes(request)
    if content_type.startswith("text/xml"):
        (folder / f"{stem}-response.xml").write_bytes(reply)
    elif reply:
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        (folder / f"{stem}-response.mime").write_bytes(head + reply)
