"""The admin: every app's pages are registered when the first of them is opened."""

from django.contrib import admin

admin.autodiscover()
urlpatterns = admin.site.get_urls()
