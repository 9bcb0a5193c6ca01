from django.urls import path

from billing import views

app_name = "billing"
urlpatterns = [
    path("people/<uuid:uuid>/billing/financial/", views.Financial.as_view(), name="financial"),
    path("bic/", views.bic, name="bic"),
]
