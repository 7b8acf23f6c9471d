"""The admin: every app's pages are registered when the first of them is opened."""

from django.contrib import admin

from dashboard.urls import urlpatterns as operator_pages

admin.autodiscover()
urlpatterns = [*operator_pages, *admin.site.get_urls()]
