"""Media stands at the root: its addresses are handed to players and image tags."""

from django.urls import path

from content.api import media

urlpatterns = [
    path("media/play/<str:ticket>", media.play),
    path("media/covers/<int:course_id>.svg", media.cover),
]
