from django.urls import path

from payments import api

urlpatterns = [
    path("products/<int:product_id>", api.ProductView.as_view()),
    path("plans", api.PlansView.as_view()),
    path("quote", api.QuoteView.as_view()),
    path("orders", api.OrdersView.as_view()),
    path("orders/<str:no>", api.OrderView.as_view()),
    path("orders/<str:no>/cancel", api.OrderCancelView.as_view()),
    path("orders/<str:no>/pay", api.OrderPayView.as_view()),
    path("orders/<str:no>/check", api.OrderCheckView.as_view()),
    path("orders/<str:no>/invoice", api.InvoiceView.as_view()),
    path("gifts", api.GiftsView.as_view()),
    path("gifts/<str:code>", api.GiftView.as_view()),
    path("gifts/<str:code>/claim", api.GiftClaimView.as_view()),
    path("groups", api.GroupsView.as_view()),
    path("groups/offers", api.GroupOffersView.as_view()),
    path("groups/<int:group_id>", api.GroupView.as_view()),
    path("groups/<int:group_id>/join", api.GroupJoinView.as_view()),
    path("orders/<str:no>/refund-quote", api.OrderRefundQuoteView.as_view()),
    path("orders/<str:no>/refunds", api.OrderRefundsView.as_view()),
    path("refunds/<str:no>", api.RefundView.as_view()),
]
