"""Experiments have no page of their own in the API: a feed says which arm it was made by."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
