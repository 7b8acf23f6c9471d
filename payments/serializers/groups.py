"""Buying together."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from kernel.api import IdField, StrictSerializer
from kernel.api.fields import rfc3339
from payments.models import Group, GroupOffer, Order
from payments.models.products import Platform
from payments.serializers.orders import OrderOutput
from payments.serializers.shop import MAX_POINTS, GroupOfferOutput, group_offer_json


class JoinInput(StrictSerializer):
    platform = serializers.ChoiceField(choices=Platform.choices)
    points = serializers.IntegerField(required=False, default=0, min_value=0, max_value=MAX_POINTS)


class GroupInput(JoinInput):
    """Either `product_id` or `offer_id`."""

    product_id = IdField(required=False, allow_null=True, default=None)
    offer_id = IdField(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["product_id"] is None) == (attrs["offer_id"] is None):
            raise serializers.ValidationError(_("请提供 product_id 或 offer_id 其中之一。"))
        return attrs


class MemberOutput(StrictSerializer):
    nickname = serializers.CharField()
    avatar_url = serializers.CharField()
    paid = serializers.BooleanField(help_text=_("待支付的成员也占名额"))


class GroupOutput(StrictSerializer):
    id = serializers.CharField()
    status = serializers.ChoiceField(choices=Group.Status.choices)
    product_id = serializers.CharField()
    title = serializers.CharField()
    price_fen = serializers.IntegerField()
    size = serializers.IntegerField(help_text=_("成团人数"))
    paid_count = serializers.IntegerField(help_text=_("已支付的人数"))
    expires_at = serializers.DateTimeField()
    members = MemberOutput(many=True)


class GroupOrderOutput(StrictSerializer):
    group = GroupOutput()
    order = OrderOutput()


class GroupOfferRow(GroupOfferOutput):
    product_id = serializers.CharField()
    title = serializers.CharField()


class GroupOffersOutput(StrictSerializer):
    items = GroupOfferRow(many=True)
    next_cursor = serializers.CharField(allow_null=True)


def group_json(group: Group, members: Sequence[Order]) -> dict[str, Any]:
    """`members` are the orders of `group_members`."""
    product = group.offer.product
    return {
        "id": str(group.pk),
        "status": group.status,
        "product_id": str(product.pk),
        "title": product.title,
        "price_fen": group.price_fen,
        "size": group.size,
        "paid_count": group.paid_count,
        "expires_at": rfc3339(group.expires_at),
        "members": [
            {
                "nickname": order.user.nickname,
                "avatar_url": order.user.avatar_url,
                "paid": order.status != Order.Status.PENDING,
            }
            for order in members
        ],
    }


def offer_json(offer: GroupOffer) -> dict[str, Any]:
    return {
        **group_offer_json(offer),
        "product_id": str(offer.product_id),
        "title": offer.product.title,
    }
