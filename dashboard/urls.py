"""Pages of operators that are no model's list; they stand under the admin's name."""

from django.contrib import admin
from django.urls import path

from dashboard.ledger_pages import statement_file, statement_page, trial_balance_page
from dashboard.story.page import order_story

guarded = admin.site.admin_view
urlpatterns = [
    path("finance/statement/", guarded(statement_page), name="finance_statement"),
    path("finance/statement.csv", guarded(statement_file), name="finance_statement_file"),
    path("finance/trial-balance/", guarded(trial_balance_page), name="finance_trial_balance"),
    path("orders/<int:order_id>/story/", guarded(order_story), name="order_story"),
]
