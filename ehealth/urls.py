from django.urls import path

from ehealth import platform_views, views

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
    path("people/<uuid:uuid>/ehealth/checks/", platform_views.checks_page, name="checks"),
    path("people/<uuid:uuid>/ehealth/checks/state/", platform_views.checks_state, name="checks_state"),
    path("people/<uuid:uuid>/ehealth/checks/run/", platform_views.run_checks, name="run_checks"),
    path("people/<uuid:uuid>/ehealth/exchanges/", platform_views.exchanges, name="exchanges"),
    path("platform/exchanges/", platform_views.all_exchanges, name="all_exchanges"),
    path("mailbox/", views.mailbox, name="mailbox"),
    path("mailbox/auto/", views.switch_mailbox, name="switch_mailbox"),
]
