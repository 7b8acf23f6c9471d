"""Doors of the recommender under /api/v1/."""

from django.urls import path

from recommender import api

urlpatterns = [
    path("feed", api.FeedView.as_view()),
    path("feed/feedback", api.FeedbackView.as_view()),
    path("offers", api.OffersView.as_view()),
    path("courses/<int:course_id>/similar", api.SimilarCoursesView.as_view()),
    path("me/tags", api.TagsView.as_view()),
    path("me/tags/<path:tag>", api.TagView.as_view()),
]
