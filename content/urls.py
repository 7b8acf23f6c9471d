from django.urls import path

from content.api import catalogue

urlpatterns = [
    path("categories", catalogue.CategoriesView.as_view()),
    path("courses", catalogue.CoursesView.as_view()),
    path("courses/<int:course_id>", catalogue.CourseView.as_view()),
    path("search/suggest", catalogue.SuggestView.as_view()),
    path("search/hot", catalogue.HotSearchView.as_view()),
    path("interests", catalogue.InterestsView.as_view()),
    path("me/interests", catalogue.MyInterestsView.as_view()),
]
