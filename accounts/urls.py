from django.urls import path

from accounts import api

urlpatterns = [
    path("auth/wechat/login", api.LoginView.as_view()),
    path("auth/refresh", api.RefreshView.as_view()),
    path("auth/logout", api.LogoutView.as_view()),
    path("me", api.MeView.as_view()),
    path("me/preferences", api.PreferencesView.as_view()),
    path("me/phone", api.PhoneView.as_view()),
]
