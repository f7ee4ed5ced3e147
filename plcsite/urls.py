"""Which address belongs to which room."""

from django.contrib import admin
from django.urls import include, path

from devices.api import api
from devices.live.urls import urlpatterns as live

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", api.urls),
    path("", include(live)),
]
handler400 = "devices.api.problems.bad_request"
handler403 = "devices.api.problems.permission_denied"
handler404 = "devices.api.problems.not_found"
handler500 = "devices.api.problems.server_error"
