"""What several journeys do on their way: signing in, making a key, giving its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from django.utils import translation
from playwright.sync_api import expect

from accounts.models import User
from tests.accounts.factories import PASSWORD
from tests.journeys.visitor import SLOW, Visitor

HOME = re.compile("^(Ma configuration|Vous êtes maintenant prêt)")


def sign_in(visitor: Visitor, user: User, password: str = PASSWORD) -> None:
    """From the sign-in page, wherever it leads."""
    if "/signin/" not in visitor.page.url:
        visitor.open("/signin/")
    visitor.fill(login=user.login, password=password)
    visitor.press("Se connecter")


def dutch(text: str) -> str:
    """What a page says in Dutch."""
    with translation.override("nl"):
        return translation.gettext(text)


def make_key(
    visitor: Visitor,
    folder: Path,
    look: Callable[[str], None] = lambda step: None,
    say: Callable[[str], str] = str,
) -> Path:
    """One click makes the pair and saves the file; the backup is proven with that file. `say`: the words of
    the pages in the visitor's language.
    """
    visitor.heading(say("Votre clé personnelle"))
    visitor.page.locator("[data-ready]").wait_for(state="attached")
    look("07-key")
    with visitor.page.expect_download(timeout=SLOW) as waiting:
        visitor.press(say("GÉNÉRER MA PAIRE DE CLÉS"))
    saved = folder / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    made = visitor.page.get_by_role("heading", name=say("Votre clé est enregistrée"))
    expect(made).to_be_visible(timeout=SLOW)
    look("08-key-made")
    visitor.follow(say("Continuer"))
    give_key_file(visitor, saved)
    look("09-key-backup")
    visitor.press(say("Vérifier ma sauvegarde"))
    visitor.heading(HOME if say is str else say("Ma configuration"))
    look("10-home")
    return saved


def give_key_file(visitor: Visitor, file: Path) -> None:
    visitor.page.locator("[data-ready]").wait_for(state="attached")
    visitor.clicks += 1
    visitor.page.locator("[data-key-file]").set_input_files(file)
