from django.urls import path

from billing import licence_pages, training_pages, views

app_name = "billing"
urlpatterns = [
    path("people/<uuid:uuid>/billing/financial/", views.Financial.as_view(), name="financial"),
    path("people/<uuid:uuid>/end-of-training/", training_pages.end_of_training, name="end_of_training"),
    path("people/<uuid:uuid>/licence/", licence_pages.licence, name="licence"),
    path("platform/licences/", licence_pages.queue, name="licence_queue"),
    path("platform/licences/<uuid:uuid>/", licence_pages.handle, name="licence_request"),
    path("platform/licences/<uuid:uuid>/invoice/", licence_pages.invoice, name="licence_invoice"),
    path("platform/licences/<uuid:uuid>/payment/", licence_pages.payment, name="licence_payment"),
    path("platform/licences/<uuid:uuid>/activate/", licence_pages.activate, name="licence_activate"),
    path("bic/", views.bic, name="bic"),
]
