"""Keystore, session, eDMG, mailbox: everything that meets the eHealth platform."""

from django.apps import AppConfig


class EhealthConfig(AppConfig):
    name = "ehealth"
