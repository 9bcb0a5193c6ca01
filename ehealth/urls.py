from django.urls import path

from ehealth import account_change_pages, platform_pages, takeover_pages, views

app_name = "ehealth"
urlpatterns = [
    path("people/<uuid:uuid>/ehealth/connection/", views.Connection.as_view(), name="connection"),
    path("people/<uuid:uuid>/ehealth/connection/state/", views.connection_state, name="connection_state"),
    path("people/<uuid:uuid>/ehealth/connection/reconnect/", views.reconnect, name="reconnect"),
    path("people/<uuid:uuid>/ehealth/connection/retry/", views.retry_test, name="retry_test"),
    path("people/<uuid:uuid>/ehealth/connection/disconnect/", views.disconnect, name="disconnect"),
    path("people/<uuid:uuid>/ehealth/edmg/", views.Edmg.as_view(), name="edmg"),
    path("people/<uuid:uuid>/ehealth/edmg/state/", views.edmg_state, name="edmg_state"),
    path("people/<uuid:uuid>/ehealth/edmg/retry/", views.retry_edmg, name="retry_edmg"),
    path("people/<uuid:uuid>/ehealth/checks/", platform_pages.checks_page, name="checks"),
    path("people/<uuid:uuid>/ehealth/checks/state/", platform_pages.checks_state, name="checks_state"),
    path("people/<uuid:uuid>/ehealth/checks/run/", platform_pages.run_checks, name="run_checks"),
    path("people/<uuid:uuid>/ehealth/exchanges/", platform_pages.exchanges, name="exchanges"),
    path("people/<uuid:uuid>/takeover/", takeover_pages.takeover, name="takeover"),
    path("platform/exchanges/", platform_pages.all_exchanges, name="all_exchanges"),
    path(
        "people/<uuid:uuid>/ehealth/account-change/",
        account_change_pages.account_change,
        name="account_change",
    ),
    path(
        "people/<uuid:uuid>/ehealth/account-change/give-up/",
        account_change_pages.give_up,
        name="account_change_give_up",
    ),
    path(
        "people/<uuid:uuid>/ehealth/account-change/<str:code>/letter/",
        account_change_pages.letter,
        name="account_change_letter",
    ),
    path(
        "people/<uuid:uuid>/ehealth/account-change/<str:code>/sent/",
        account_change_pages.sent,
        name="account_change_sent",
    ),
    path(
        "people/<uuid:uuid>/ehealth/account-change/<str:code>/confirmed/",
        account_change_pages.confirmed,
        name="account_change_confirmed",
    ),
    path("mailbox/", views.mailbox, name="mailbox"),
    path("mailbox/auto/", views.switch_mailbox, name="switch_mailbox"),
]
