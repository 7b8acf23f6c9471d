"""What several views of payments share: the user, the platform, documented parameters."""

from typing import TYPE_CHECKING, Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from kernel.errors import InvalidInput
from payments import selectors
from payments.models.products import Platform

if TYPE_CHECKING:
    from accounts.models import User

# drf-stubs want str here; the lazy sentence is rendered with the document.
SHOP: Any = [_("购买")]
ORDERS: Any = [_("订单")]
PLATFORM = OpenApiParameter(
    "platform", enum=Platform.values, description=_("客户端所在平台，缺省为 android")
)
KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description=_("同一操作重试时不变，至多 80 个 ASCII 字符"),
)
NO = OpenApiParameter("no", OpenApiTypes.STR, OpenApiParameter.PATH, description=_("订单号"))
PAGE = [
    OpenApiParameter("cursor", description=_("上一页的 next_cursor")),
    OpenApiParameter("limit", OpenApiTypes.INT, description=_("每页条数，至多 100")),
]


def user_of(request: Request) -> "User":
    return cast("User", request.user)


def table_of(request: Request) -> selectors.ChannelTable:
    """What may be sold where the client says it runs."""
    platform = request.query_params.get("platform", Platform.ANDROID)
    if platform not in Platform.values:
        raise InvalidInput(fields={"platform": [_("平台只能是 ios、android、devtools 或 h5。")]})
    return selectors.channel_table(platform)
