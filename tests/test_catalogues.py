"""The catalogues are complete: every text translated, none doubtful, each placeholder kept."""

import re
from pathlib import Path

import polib
import pytest

ROOT = Path(__file__).resolve().parents[1]
CATALOGUES = sorted(ROOT.glob("locale/*/LC_MESSAGES/*.po"))
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}")


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_catalogue_is_complete_and_keeps_the_placeholders(path: Path) -> None:
    catalogue = polib.pofile(str(path))
    # French is the source: its small catalogue holds plurals alone, the rest reads as written.
    if path.parts[-3] != "fr":
        assert [entry.msgid for entry in catalogue.untranslated_entries()] == []
    assert [entry.msgid for entry in catalogue.fuzzy_entries()] == []
    for entry in catalogue.translated_entries():
        for text in (entry.msgstr, *entry.msgstr_plural.values()):
            missing = (
                set(PLACEHOLDER.findall(entry.msgid)) ^ set(PLACEHOLDER.findall(text)) if text else set()
            )
            assert not missing or entry.msgid_plural, (entry.msgid, missing)
