"""A learner's interest tags and offers."""

from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api import ApiView
from kernel.api.fields import rfc3339
from recommender.api.callers import learner_of
from recommender.api.serializers import InterestTagsOutput, OffersOutput
from recommender.selectors import interest_tags
from recommender.services.tags import tag_delete
from recommender.serving.offers import ranked_offers

_TAG: Any = [_("推荐")]


class TagsView(ApiView):
    """What the recommender takes the learner to like, open to the learner."""

    @extend_schema(
        tags=_TAG,
        summary=_("我的兴趣标签"),
        description=_("推荐所使用的兴趣标签；删除后不再作为推荐依据。"),
        responses=InterestTagsOutput,
        operation_id="me_tags",
    )
    def get(self, request: Request) -> Response:
        items = [asdict(tag) for tag in interest_tags(learner_of(request))]
        return Response({"items": items, "next_cursor": None})


class TagView(ApiView):
    @extend_schema(
        tags=_TAG,
        summary=_("删除兴趣标签"),
        description=_("该标签不再进入模型输入，从下一次请求起生效。"),
        responses={204: None},
        operation_id="me_tag_delete",
    )
    def delete(self, request: Request, tag: str) -> Response:
        tag_delete(user_id=learner_of(request).pk, tag=tag)
        return Response(status=204)


class OffersView(ApiView):
    """Only offers that the learner is entitled to by a public rule; this sorts them."""

    @extend_schema(
        tags=_TAG,
        summary=_("我的优惠与积分任务"),
        description=_("按公开规则列出可领取的优惠券与积分任务；价格不因人而异。"),
        responses=OffersOutput,
        operation_id="offers",
    )
    def get(self, request: Request) -> Response:
        items = [
            {
                "id": offer.id,
                "kind": offer.kind,
                "title": offer.title,
                "rule_text": offer.rule_text,
                "expires_at": rfc3339(offer.expires_at),
                "claim_url": offer.claim_url,
            }
            for offer in ranked_offers(learner_of(request))
        ]
        return Response({"items": items, "next_cursor": None})
