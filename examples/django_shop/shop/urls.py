"""The URLs of the shop."""

from django.contrib import admin
from django.urls import path

from shop import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("code/", views.send_code),
    path("verify/", views.verify),
    path("order/", views.place_order),
]
