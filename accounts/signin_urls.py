"""The pages of allauth that the portal uses, with allauth's own names; the rest stays shut."""

from allauth.account import views
from django.urls import path, re_path

from accounts.views import account, factor, sessions

urlpatterns = [
    path("", views.login, name="account_login"),
    path("factor/", factor.SignInStep.as_view(), name="mfa_authenticate"),
    path("leave/", views.logout, name="account_logout"),
    path("again/", views.reauthenticate, name="account_reauthenticate"),
    path("password/", account.password_change, name="account_change_password"),
    path("reset/", views.password_reset, name="account_reset_password"),
    path("reset/sent/", views.password_reset_done, name="account_reset_password_done"),
    path("reset/done/", views.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    re_path(
        r"^reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        sessions.PasswordFromLink.as_view(),
        name="account_reset_password_from_key",
    ),
    re_path(r"^email/(?P<key>[-:\w]+)/$", views.confirm_email, name="account_confirm_email"),
]
