"""Compiles the message catalogues with polib, so that nobody needs GNU gettext."""

import os
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent


def compile_stale(project: Path = PROJECT) -> list[Path]:
    """Compile each `locale/**/*.po` that is newer than its `.mo`; return the compiled files."""
    stale = [source for source in sorted(project.glob("locale/*/LC_MESSAGES/*.po")) if is_stale(source)]
    return [compile_one(source) for source in stale]


def is_stale(source: Path) -> bool:
    target = source.with_suffix(".mo")
    return not target.exists() or target.stat().st_mtime < source.stat().st_mtime


def compile_one(source: Path) -> Path:
    """Write the catalogue beside its source in one step: other processes may be reading it."""
    import polib

    target = source.with_suffix(".mo")
    handle, scratch = tempfile.mkstemp(dir=source.parent, suffix=".mo.part")
    os.close(handle)
    polib.pofile(str(source)).save_as_mofile(scratch)
    os.chmod(scratch, 0o644)
    os.replace(scratch, target)
    return target


if __name__ == "__main__":
    compile_stale()
