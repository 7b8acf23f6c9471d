from django.urls import path

from feedback.api import courses, events, lessons, mine

urlpatterns = [
    path("events", events.EventsView.as_view()),
    path("lessons/<int:lesson_id>", lessons.LessonView.as_view()),
    path("lessons/<int:lesson_id>/progress", lessons.ProgressView.as_view()),
    path("courses/<int:course_id>/rating", courses.RatingView.as_view()),
    path("courses/<int:course_id>/favourite", courses.FavouriteView.as_view()),
    path("me/continue", mine.ContinueView.as_view()),
    path("me/favourites", mine.FavouritesView.as_view()),
    path("me/courses", mine.MyCoursesView.as_view()),
]
