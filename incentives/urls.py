"""Mounted under `/api/v1/`."""

from django.urls import path

from incentives.api.codes import RedeemView
from incentives.api.coupons import ClaimView, CouponsView
from incentives.api.points import CheckInView, PointEntriesView, PointsView

urlpatterns = [
    path("points", PointsView.as_view()),
    path("points/entries", PointEntriesView.as_view()),
    path("points/check-in", CheckInView.as_view()),
    path("coupons", CouponsView.as_view()),
    path("coupons/claim", ClaimView.as_view()),
    path("redeem", RedeemView.as_view()),
]
