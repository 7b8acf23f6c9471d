"""How the admin looks: django-unfold's settings. Pages come from `dashboard`."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _rows(title: Promise, icon: str, model: str) -> dict[str, Any]:
    """A sidebar line that leads to a model's list, shown to those who may see its rows."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": _may(f"{app}.view_{name}"),
    }


def _page(title: Promise, icon: str, name: str, permission: str) -> dict[str, Any]:
    """A sidebar line that leads to a page of the dashboard."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{name}"),
        "permission": _may(permission),
    }


def _group(title: Promise, *items: dict[str, Any], folded: bool = True) -> dict[str, Any]:
    return {"title": title, "separator": True, "collapsible": folded, "items": list(items)}


NAVIGATION = [
    _group(
        _("经营概览"),
        {"title": _("今日概览"), "icon": "monitoring", "link": reverse_lazy("admin:index")},
        folded=False,
    ),
    _group(
        _("内容"),
        _rows(_("课程"), "menu_book", "content.course"),
        _rows(_("创作者"), "co_present", "content.creator"),
        _rows(_("分类"), "account_tree", "content.category"),
        _rows(_("标签"), "sell", "content.tag"),
        _rows(_("无结果搜索"), "search_off", "content.searchmiss"),
        _rows(_("搜索词"), "manage_search", "content.searchterm"),
    ),
    _group(
        _("学员"),
        _rows(_("用户"), "group", "accounts.user"),
        _rows(_("平台身份"), "badge", "accounts.identity"),
        _rows(_("课程进度"), "school", "feedback.courseprogress"),
        _rows(_("课时进度"), "timelapse", "feedback.lessonprogress"),
        _rows(_("评分"), "star", "feedback.rating"),
        _rows(_("收藏"), "bookmark", "feedback.favourite"),
        _rows(_("行为事件"), "touch_app", "feedback.event"),
    ),
    _group(
        _("交易"),
        _rows(_("订单"), "receipt_long", "payments.order"),
        _rows(_("支付"), "payments", "payments.payment"),
        _rows(_("退款"), "currency_exchange", "payments.refund"),
        _rows(_("权益"), "key", "payments.entitlement"),
        _rows(_("商品"), "inventory_2", "payments.product"),
        _rows(_("会员方案"), "workspace_premium", "payments.plan"),
        _rows(_("拼团活动"), "groups", "payments.groupoffer"),
        _rows(_("拼团"), "group_add", "payments.group"),
        _rows(_("赠送"), "featured_seasonal_and_gifts", "payments.gift"),
        _rows(_("发票申请"), "request_quote", "payments.invoice"),
        _rows(_("渠道规则"), "rule", "payments.channelrule"),
        _rows(_("退款规则"), "assignment_return", "payments.refundpolicy"),
        _rows(_("分成规则"), "pie_chart", "payments.sharerule"),
        _rows(_("平台通知"), "notifications", "payments.eventhandling"),
    ),
    _group(
        _("财务"),
        _page(_("科目明细"), "account_balance_wallet", "finance_statement", "payments.view_entry"),
        _page(_("试算平衡"), "balance", "finance_trial_balance", "payments.view_entry"),
        _rows(_("对账"), "fact_check", "payments.reconciliation"),
        _rows(_("对账差异"), "difference", "payments.discrepancy"),
        _rows(_("账单明细"), "list_alt", "payments.billrow"),
        _rows(_("凭证"), "account_balance", "payments.journal"),
        _rows(_("余额科目"), "savings", "payments.ledgeraccount"),
    ),
    _group(
        _("营销"),
        _rows(_("优惠券模板"), "confirmation_number", "incentives.coupontemplate"),
        _rows(_("优惠券"), "local_activity", "incentives.coupon"),
        _rows(_("兑换码"), "redeem", "incentives.redeemcode"),
        _rows(_("积分规则"), "tune", "incentives.earningrule"),
        _rows(_("积分钱包"), "savings", "incentives.pointswallet"),
        _rows(_("积分流水"), "swap_vert", "incentives.pointentry"),
        _rows(_("签到"), "event_available", "incentives.checkin"),
    ),
    _group(
        _("推荐"),
        _rows(_("训练任务"), "model_training", "recommender.trainingrun"),
        _rows(_("模型版本"), "deployed_code", "recommender.modelversion"),
        _rows(_("影子对比"), "compare", "recommender.shadowcomparison"),
        _rows(_("批量打分"), "playlist_add_check", "recommender.batchscore"),
        _rows(_("推荐规则"), "push_pin", "recommender.feedrule"),
        _rows(_("推荐记录"), "dynamic_feed", "recommender.feedrequest"),
        _rows(_("不感兴趣"), "thumb_down", "feedback.coursehide"),
        _rows(_("实验"), "science", "experiments.experiment"),
    ),
    _group(
        _("公众号"),
        _rows(_("收到的消息"), "mark_chat_unread", "messaging.messageevent"),
        _rows(_("发出的消息"), "send", "messaging.outboundmessage"),
    ),
    _group(
        _("系统"),
        _rows(_("操作审计"), "policy", "kernel.staffaction"),
        _rows(_("待办事件"), "pending_actions", "kernel.outboxrow"),
        _rows(_("进程心跳"), "monitor_heart", "kernel.heartbeat"),
        _rows(_("角色"), "admin_panel_settings", "auth.group"),
        {
            "title": _("接口文档"),
            "icon": "api",
            "link": reverse_lazy("docs"),
            "active": lambda request: False,
        },
    ),
]

# Teal on cool greys; chart colours come from the same variables.
_PRIMARY = {
    "50": "oklch(98.4% .014 180.7)",
    "100": "oklch(95.3% .051 180.8)",
    "200": "oklch(91% .096 180.4)",
    "300": "oklch(85.5% .138 181.1)",
    "400": "oklch(77.7% .152 181.9)",
    "500": "oklch(70.4% .14 182.5)",
    "600": "oklch(60% .118 184.7)",
    "700": "oklch(51.1% .096 186.4)",
    "800": "oklch(43.7% .078 188.2)",
    "900": "oklch(38.6% .063 188.4)",
    "950": "oklch(27.7% .046 192.5)",
}

UNFOLD = {
    "SITE_TITLE": _("KPay 运营后台"),
    "SITE_HEADER": "KPay",
    "SITE_SUBHEADER": _("微信知识付费"),
    "SITE_SYMBOL": "school",
    "SITE_URL": "/api/docs/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": _PRIMARY},
    "STYLES": [lambda request: static("dashboard/admin.css")],
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("dashboard/favicon.svg"),
        }
    ],
    "LOGIN": {"image": lambda request: static("dashboard/login.svg")},
    "DASHBOARD_CALLBACK": "dashboard.home.home",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": True,
        "navigation": NAVIGATION,
    },
}
