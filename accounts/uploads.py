"""Uploads stay in memory: a keystore never touches a disk (SR-39)."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import MemoryFileUploadHandler, StopUpload

# One keystore is at most 256 KiB; anything above the cap ends the request while it is read.
LARGEST_UPLOAD = 512 * 1024


class MemoryOnlyHandler(MemoryFileUploadHandler):
    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        self.activated = True
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self.received += len(raw_data)
        if self.received > LARGEST_UPLOAD:
            raise StopUpload(connection_reset=False)
        self.file.write(raw_data)
        return None
