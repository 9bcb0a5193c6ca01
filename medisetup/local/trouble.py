"""The one error of this package: a sentence for whoever typed the command."""


class Trouble(Exception):
    """Something on this machine prevents the start; the text says what, and what to do about it.

    Commands of the terminal speak before any catalogue is compiled, so the text carries both languages.
    """

    def __init__(self, french: str, english: str) -> None:
        super().__init__(f"{french}\n{english}")
