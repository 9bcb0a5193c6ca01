"""Addresses of the accounts: sign-in (allauth's names), invitation, account section, access, keys."""

from django.urls import include, path

from accounts.views import access, account, billing_addresses, factor, invitations, keys, sessions

people = [
    path("signin/own-password/", account.own_password, name="own_password"),
    path("invitations/<str:token>/", invitations.accept, name="invitation"),
    path("people/<uuid:uuid>/account/", account.Account.as_view(), name="account"),
    path("people/<uuid:uuid>/email/verify/", access.verify_email, name="verify_email"),
    path("people/<uuid:uuid>/invitation/", access.invite, name="invite"),
    path("people/<uuid:uuid>/invitation/revoke/", access.revoke_invitation, name="revoke_invitation"),
    path("people/<uuid:uuid>/deactivate/", access.deactivate, name="deactivate"),
    path("people/<uuid:uuid>/reactivate/", access.reactivate, name="reactivate"),
    path(
        "practice/billing-addresses/new/", billing_addresses.NewAddress.as_view(), name="new_billing_address"
    ),
    path(
        "practice/billing-addresses/<uuid:billing_address>/",
        billing_addresses.Address.as_view(),
        name="billing_address",
    ),
    path(
        "practice/billing-addresses/<uuid:billing_address>/remove/",
        billing_addresses.remove,
        name="remove_billing_address",
    ),
    path("people/<uuid:uuid>/sessions/end/", sessions.sign_out, name="sign_out"),
    path("sessions/", sessions.own_sessions, name="sessions"),
    path("sessions/end/", sessions.end, name="end_sessions"),
    path("factor/", factor.overview, name="factor"),
    path("factor/codes/", factor.codes, name="factor_codes"),
    path("factor/prove/", factor.prove, name="factor_prove"),
    path("factor/remove/", factor.remove, name="factor_remove"),
    *keys.routes,
]

urlpatterns = [
    path("", include((people, "accounts"))),
    path("signin/", include("accounts.signin_urls")),
]
