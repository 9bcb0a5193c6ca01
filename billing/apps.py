"""Bank accounts and financial settings."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
