from django.urls import path

from practitioners import import_pages, practice_pages, views

app_name = "practitioners"
urlpatterns = [
    path("practice/", practice_pages.PracticePage.as_view(), name="practice"),
    path("people/new/", views.new_person, name="new"),
    path("people/import/", import_pages.import_people, name="import"),
    path("people/import/template/<str:kind>/", import_pages.import_template, name="import_template"),
    path("people/import/<uuid:batch>/", import_pages.import_batch, name="import_batch"),
    path("people/import/<uuid:batch>/state/", import_pages.import_state, name="import_state"),
    path("people/<uuid:uuid>/practitioner/general/", views.General.as_view(), name="general"),
    path("people/<uuid:uuid>/practitioner/addresses/", views.Addresses.as_view(), name="addresses"),
]
