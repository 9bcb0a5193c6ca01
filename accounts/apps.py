"""Who somebody is, what proves it, what they may do, what was done."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
