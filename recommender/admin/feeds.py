"""Operators' rules for feeds, and what feeds showed."""

from __future__ import annotations

from django.contrib import admin

from kernel.admin import ModelAdmin, ReadOnlyAdmin
from recommender.models import FeedRequest, FeedRule, TagDeletion


@admin.register(FeedRule)
class FeedRuleAdmin(ModelAdmin[FeedRule]):
    list_display = (
        "action",
        "target",
        "target_id",
        "surface",
        "position",
        "strength",
        "starts_at",
        "ends_at",
        "active",
    )
    list_filter = ("action", "target", "surface", "active")
    search_fields = ("=target_id", "note")


@admin.register(FeedRequest)
class FeedRequestAdmin(ReadOnlyAdmin[FeedRequest]):
    list_display = (
        "request_id",
        "user",
        "surface",
        "model_name",
        "model_version",
        "personalised",
        "served",
        "created_at",
    )
    list_filter = ("surface", "personalised", "model_name", "created_at")
    search_fields = ("=request_id", "=user__username")
    list_select_related = ("user",)


@admin.register(TagDeletion)
class TagDeletionAdmin(ReadOnlyAdmin[TagDeletion]):
    list_display = ("user", "tag", "created_at")
    search_fields = ("tag", "=user__username")
    list_select_related = ("user",)
