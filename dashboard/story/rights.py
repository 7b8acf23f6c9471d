"""What the buyer got and gave beside money: rights, coupon, points."""

from collections.abc import Iterator

from django.db.models import Q
from django.utils.translation import gettext as _

from dashboard.figures import money
from dashboard.story.moments import SYSTEM, Ground, Moment, shown
from incentives.models import Coupon, PointClawback, PointEntry
from payments.models import Entitlement, Gift


def entitlements(ground: Ground) -> Iterator[Moment]:
    """Rights that the order gave, also through its gift codes, and when they ended."""
    codes = [str(pk) for pk in _gift_ids(ground)]
    mine = Entitlement.objects.filter(
        Q(source=Entitlement.Source.ORDER, source_ref=ground.order.no)
        | Q(source=Entitlement.Source.GIFT, source_ref__in=codes)
    )
    for right in mine.select_related("user").order_by("pk"):
        until = shown(right.valid_until) if right.valid_until else _("长期")
        facts = [_("%(scope)s，有效期：%(until)s") % {"scope": right.scope, "until": until}]
        yield Moment(
            at=right.created_at,
            part="rights",
            icon="key",
            title=_("授予权益（%(source)s）") % {"source": right.get_source_display()},
            facts=[*facts, *filter(None, [right.reason])],
            actor=str(right.user),
            url=ground.link(right),
            tone="success",
            order=22,
        )
        if right.revoked_at is not None:
            yield Moment(
                at=right.revoked_at,
                part="rights",
                icon="key_off",
                title=_("收回权益"),
                facts=[right.scope],
                actor=str(SYSTEM),
                url=ground.link(right),
                tone="warning",
                order=36,
            )


def _gift_ids(ground: Ground) -> list[int]:
    if not any(line.kind == "gift" for line in ground.lines):
        return []
    return list(Gift.objects.filter(line__order=ground.order).values_list("pk", flat=True))


def coupon(ground: Ground) -> Iterator[Moment]:
    """The coupon that lowered the price, as it stands now."""
    mine = ground.order
    if mine.coupon_id is None or not ground.may_view(Coupon):
        return
    held = Coupon.objects.select_related("template").filter(pk=mine.coupon_id).first()
    yield Moment(
        at=mine.created_at,
        part="rights",
        icon="local_activity",
        title=_("使用优惠券，抵扣 %(yuan)s") % {"yuan": money(mine.coupon_fen)},
        facts=[str(held.template)] if held else [],
        actor=str(mine.user),
        url=ground.link(held) if held else "",
        badge=held.get_status_display() if held else "",
        order=3,
    )


def points(ground: Ground) -> Iterator[Moment]:
    """Points spent, earned, given back and clawed back because of the order."""
    if not ground.may_view(PointEntry):
        return
    moved = PointEntry.objects.filter(
        Q(order_no=ground.order.no) | Q(ref__in=ground.numbers), user_id=ground.order.user_id
    )
    for entry in moved.order_by("pk"):
        yield Moment(
            at=entry.created_at,
            part="rights",
            icon="toll",
            title=_("积分%(kind)s %(delta)+d")
            % {"kind": entry.get_kind_display(), "delta": entry.delta},
            facts=[*filter(None, [entry.text, entry.ref])],
            actor=str(SYSTEM),
            url=ground.link(entry),
            order=27,
        )
    for taken in PointClawback.objects.filter(order_no=ground.order.no).order_by("pk"):
        if taken.taken < taken.points:
            yield Moment(
                at=taken.created_at,
                part="rights",
                icon="toll",
                title=_("应收回 %(points)d 积分，实际收回 %(taken)d")
                % {"points": taken.points, "taken": taken.taken},
                facts=[taken.out_refund_no],
                actor=str(SYSTEM),
                url=ground.link(taken),
                tone="warning",
                order=37,
            )
