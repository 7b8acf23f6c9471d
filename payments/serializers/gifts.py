"""Gifts, as their giver and whoever has the code see them."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from kernel.api import IdField, StrictSerializer
from kernel.api.fields import rfc3339
from payments.models import Gift
from payments.models.products import Platform
from payments.serializers.fields import PlainTextField
from payments.serializers.orders import OrderOutput
from payments.serializers.shop import MAX_POINTS
from payments.services.codes import code_of
from payments.services.gifts import Claimed


class GiftInput(StrictSerializer):
    product_id = IdField(help_text=_("课程商品，或类型为 gift 的商品"))
    quantity = serializers.IntegerField(min_value=1, max_value=99, default=1)
    platform = serializers.ChoiceField(choices=Platform.choices)
    coupon_id = IdField(required=False, allow_null=True, default=None)
    points = serializers.IntegerField(required=False, default=0, min_value=0, max_value=MAX_POINTS)
    message = PlainTextField(
        required=False, allow_blank=True, default="", max_length=200, help_text=_("赠言")
    )


class GiftClaimerOutput(StrictSerializer):
    nickname = serializers.CharField()
    avatar_url = serializers.CharField()


class GiftOutput(StrictSerializer):
    id = IdField()
    code = serializers.CharField(help_text=_("赠送码，仅赠送人可见"))
    order_no = serializers.CharField()
    title = serializers.CharField()
    scope = serializers.CharField(help_text=_("领取后开通的权益"))
    status = serializers.ChoiceField(choices=Gift.Status.choices)
    message = serializers.CharField()
    claimed_by = GiftClaimerOutput(allow_null=True)
    claimed_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text=_("此前无人领取则自动退款"))


class GiftsOutput(StrictSerializer):
    items = GiftOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class GiftOrderOutput(StrictSerializer):
    order = OrderOutput()
    gifts = GiftOutput(many=True, help_text=_("支付后才有赠送码"))


class GiftSeenOutput(StrictSerializer):
    title = serializers.CharField()
    scope = serializers.CharField(help_text=_("领取后开通的权益"))
    status = serializers.ChoiceField(choices=Gift.Status.choices)
    message = serializers.CharField()
    giver = GiftClaimerOutput()
    expires_at = serializers.DateTimeField()


class GiftClaimOutput(StrictSerializer):
    title = serializers.CharField()
    scope = serializers.CharField(help_text=_("已开通的权益"))
    message = serializers.CharField()
    claimed_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField(allow_null=True, help_text=_("空为长期有效"))


def person_json(user: Any) -> dict[str, Any]:
    return {"nickname": user.nickname, "avatar_url": user.avatar_url}


def gift_json(gift: Gift) -> dict[str, Any]:
    """Reads the row of `get_gifts_for_user`; for the giver alone, since it shows the code."""
    return {
        "id": str(gift.pk),
        "code": code_of(gift),
        "order_no": gift.line.order.no,
        "title": gift.line.title,
        "scope": gift.scope,
        "status": gift.status,
        "message": gift.message,
        "claimed_by": person_json(gift.claimed_by) if gift.claimed_by else None,
        "claimed_at": rfc3339(gift.claimed_at),
        "created_at": rfc3339(gift.created_at),
        "expires_at": rfc3339(gift.expires_at),
    }


def gift_seen_json(gift: Gift) -> dict[str, Any]:
    return {
        "title": gift.line.title,
        "scope": gift.scope,
        "status": gift.status,
        "message": gift.message,
        "giver": person_json(gift.line.order.user),
        "expires_at": rfc3339(gift.expires_at),
    }


def claim_json(claimed: Claimed) -> dict[str, Any]:
    return {
        "title": claimed.gift.line.title,
        "scope": claimed.gift.scope,
        "message": claimed.gift.message,
        "claimed_at": rfc3339(claimed.gift.claimed_at),
        "valid_until": rfc3339(claimed.entitlement.valid_until),
    }
