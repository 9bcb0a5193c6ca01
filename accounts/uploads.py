"""Uploads stay in memory: neither a keystore nor a file of people touches a disk (SR-39)."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import MemoryFileUploadHandler, StopUpload

# One keystore is at most 256 KiB; anything above the cap ends the request while it is read.
LARGEST_UPLOAD = 512 * 1024
# A file of people is at most 2 MiB (SR-38); one byte more tells that it is too large.
LARGEST_OF_PATH = {"/people/import/": 2 * 1024 * 1024 + 1}


class MemoryOnlyHandler(MemoryFileUploadHandler):
    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        self.activated = True
        self.received = 0
        self.largest = LARGEST_OF_PATH.get(META.get("PATH_INFO", ""), LARGEST_UPLOAD)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self.received += len(raw_data)
        if self.received > self.largest:
            raise StopUpload(connection_reset=False)
        self.file.write(raw_data)
        return None
