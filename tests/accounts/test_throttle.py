"""Limits: exactly so many, also in parallel, and free again after their time."""

from __future__ import annotations

import time

import pytest
from allauth.account.adapter import get_adapter
from django.conf import settings as configured
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts import throttle
from accounts.middleware import client_address
from tests.accounts.test_people import at_once


@pytest.mark.django_db
def test_so_many_and_no_more_per_purpose_and_key_until_the_time_is_over() -> None:
    assert [throttle.allow("test", "a", 3, 1) for _try in range(5)] == [True] * 3 + [False] * 2
    assert throttle.allow("test", "b", 3, 1)
    assert throttle.allow("other", "a", 3, 1)
    # The table counts whole seconds.
    time.sleep(3.1)
    assert throttle.allow("test", "a", 3, 1)


@pytest.mark.django_db
def test_a_success_frees_the_places() -> None:
    assert [throttle.allow("test", "a", 2, 60) for _try in range(3)] == [True, True, False]
    throttle.forget("test", "a", 2)
    assert throttle.allow("test", "a", 2, 60)


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_share_the_places_exactly() -> None:
    results = at_once([lambda: throttle.allow("race", "a", 5, 60) for _try in range(50)])
    assert results.count(True) == 5, results
    cache.clear()


def test_the_table_of_limits_does_not_forget_at_three_hundred() -> None:
    assert configured.CACHES["default"]["OPTIONS"]["MAX_ENTRIES"] >= 100_000


@pytest.mark.django_db
def test_a_reached_limit_is_a_readable_page() -> None:
    request = RequestFactory().get("/")
    request.user = None
    answer = throttle.too_many(request, seconds=90)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "90"
    assert "2 minutes" in answer.content.decode()


@pytest.mark.parametrize(
    "forwarded", ["203.0.113.7", "198.51.100.1, 203.0.113.7", "1.1.1.1,2.2.2.2, 203.0.113.7"]
)
def test_an_address_is_what_the_last_trusted_proxy_saw(settings: Settings, forwarded: str) -> None:
    request = RequestFactory(headers={"X-Forwarded-For": forwarded}).get("/")
    assert client_address(request) == get_adapter().get_client_ip(request) == "127.0.0.1", (
        "no proxy is trusted"
    )
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert client_address(request) == get_adapter().get_client_ip(request) == "203.0.113.7"


@pytest.mark.django_db
def test_a_network_has_one_bucket_whatever_it_says_of_itself(settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    answers = [
        Client(headers={"X-Forwarded-For": f"198.51.100.{turn}, 2001:db8:1:2::{turn}"}).post(
            reverse("account_reset_password"), {"email": f"nobody{turn}@example.be"}
        )
        for turn in range(11)
    ]
    assert [answer.status_code for answer in answers] == [302] * 10 + [429]
    other = Client(headers={"X-Forwarded-For": "2001:db8:1:3::1"})
    assert other.post(reverse("account_reset_password"), {"email": "x@example.be"}).status_code == 302
