from django.urls import path

from practitioners import views

app_name = "practitioners"
urlpatterns = [
    path("people/new/", views.new_person, name="new"),
    path("people/<uuid:uuid>/practitioner/general/", views.General.as_view(), name="general"),
    path("people/<uuid:uuid>/practitioner/addresses/", views.Addresses.as_view(), name="addresses"),
]
