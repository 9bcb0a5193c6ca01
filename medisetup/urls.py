"""Root routes. Public ones are marked in their views with `login_not_required`, in the open."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from medisetup import board_pages, health, journal, own_data, platform_pages, views

urlpatterns = [
    path("", views.home, name="home"),
    path("me/", views.me, name="me"),
    path("people/", board_pages.people, name="people"),
    path("people/export/<str:file_format>/", board_pages.export, name="people_export"),
    path("people/remind/", board_pages.remind_all, name="remind_all"),
    path("people/<uuid:uuid>/remind/", board_pages.remind, name="remind"),
    path("people/<uuid:uuid>/", views.person, name="person"),
    path("platform/", platform_pages.platform, name="platform"),
    path("platform/practices/<uuid:uuid>/", platform_pages.practice, name="platform_practice"),
    path("platform/people/<uuid:uuid>/", platform_pages.person, name="platform_person"),
    path("people/<uuid:uuid>/history/", journal.history, name="history"),
    path("people/<uuid:uuid>/data/", own_data.export, name="own_data"),
    path("journal/", journal.practice_journal, name="journal"),
    path("journal/export/", journal.export, name="journal_export"),
    path("help/", views.help_page, name="help"),
    path("health/live/", health.live, name="health_live"),
    path("health/ready/", health.ready, name="health_ready"),
    path("language/", login_not_required(set_language), name="set_language"),
    path("", include("accounts.urls")),
    path("", include("practitioners.urls")),
    path("", include("billing.urls")),
    path("", include("ehealth.urls")),
]
if settings.ADMIN_PATH:
    from medisetup.support.site import site

    urlpatterns.append(path(settings.ADMIN_PATH, site.urls))
if settings.DEMO:
    urlpatterns += [
        path("outbox/", views.outbox, name="outbox"),
        path("outbox/<str:name>/", views.outbox_mail, name="outbox_mail"),
        path("outbox/<str:name>/html/", views.outbox_html, name="outbox_html"),
    ]

handler400 = "medisetup.views.bad_request"
handler403 = "medisetup.views.forbidden"
handler404 = "medisetup.views.not_found"
handler429 = "accounts.throttle.too_many"  # looked up by allauth
handler500 = "medisetup.views.server_error"
