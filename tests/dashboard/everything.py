"""A row of every model that has an admin page, written straight into the tables."""

import uuid
from datetime import timedelta

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import Identity, TokenFamily, User
from content.models import Category, Course, Creator, Lesson, SearchMiss, SearchTerm, Tag
from experiments.models import Arm, Experiment, Exposure
from feedback import models as feedback
from incentives import models as incentives
from kernel import clock
from kernel.ids import token_hash
from kernel.models import Heartbeat, IdempotencyKey, OutboxRow, StaffAction
from messaging.models import MessageEvent, OutboundMessage
from payments import models as payments
from recommender import models as recommender
from tests.builders import make_learner
from tests.dashboard.shop import make_order, make_product


@transaction.atomic
def fill(number: int) -> None:
    """One row more of every model; every foreign key points to a row of this number."""
    Group.objects.get_or_create(name=f"group{number}")
    user = make_learner()
    course, lesson = _content(number, user)
    _people(number, user)
    _payments(number, user)
    _feedback(number, user, course, lesson)
    _incentives(number, user)
    _recommender(number, user, course)
    _messages(number, user)
    _kernel(number, user)


def _content(number: int, user: User) -> tuple[Course, Lesson]:
    parent = Category.objects.create(key=f"top{number}", name="生活")
    category = Category.objects.create(key=f"c{number}", name="摄影", parent=parent)
    creator = Creator.objects.create(key=f"teacher{number}", nickname="林老师", user=user)
    tag = Tag.objects.create(name=f"标签{number}")
    course = Course.objects.create(
        title=f"手机摄影 {number}",
        category=category,
        creator=creator,
        product=make_product(),
        status="published",
        published_at=clock.now(),
        rating_sum=9,
        rating_count=2,
    )
    course.tags.add(tag)
    lesson = Lesson.objects.create(course=course, title="第一课", duration_seconds=60)
    SearchTerm.objects.create(day=clock.local_date(), key=f"k{number}", query="摄影", times=3)
    SearchMiss.objects.create(key=f"k{number}", query="烘焙", times=2)
    return course, lesson


def _people(number: int, user: User) -> None:
    Identity.objects.create(user=user, app="mp", appid="wx1", openid=f"openid-of-number-{number}")
    TokenFamily.objects.create(user=user)


def _payments(number: int, user: User) -> None:
    now = clock.now()
    order = make_order(now, 9_900, user=user)
    payment = payments.Payment.objects.create(
        order=order,
        out_trade_no=f"T{number}",
        channel="jsapi",
        status="succeeded",
        effective=True,
        amount_fen=9_900,
        transaction_id=f"W{number}",
        success_at=now,
    )
    refund = payments.Refund.objects.create(
        order=order, payment=payment, out_refund_no=f"R{number}", amount_fen=100, cause="user"
    )
    payments.RefundLine.objects.create(refund=refund, line=order.lines.get(), amount_fen=100)
    payments.Quote.objects.create(
        user=user,
        platform="android",
        total_fen=100,
        discount_fen=0,
        points_value_fen=0,
        payable_fen=100,
        lines=[],
        expires_at=now,
    )
    plan = make_product(kind="plan", scope="membership:vip")
    payments.Plan.objects.create(product=plan, period="month", key=f"plan{number}")
    payments.ChannelRule.objects.create(platform=f"p{number}", channel="jsapi")
    payments.XpayItem.objects.create(
        product=plan, item_id=f"item{number}", price_fen=number, state="failed", last_error="x"
    )
    payments.Entitlement.objects.create(
        user=user, scope="course:1", source="order", source_ref=order.no, valid_from=now
    )
    _selling(number, user, order, refund, plan)
    journal = payments.Journal.objects.create(kind="payment", ref=f"J{number}")
    payments.Entry.objects.create(journal=journal, account="cash", amount_fen=9_900)
    payments.Entry.objects.create(journal=journal, account="revenue", amount_fen=-9_900)
    payments.LedgerAccount.objects.create(code=f"creator:{number}")
    event = payments.PlatformEvent.objects.create(
        source="pay", event_id=f"E{number}", event_type="TRANSACTION.SUCCESS", body=b"{}"
    )
    payments.EventHandling.objects.create(
        event=event, kind="payment", business_key=f"T{number}", state="dead"
    )
    payments.Effect.objects.create(kind="payment", business_key=f"T{number}", ref="1")
    day = payments.Reconciliation.objects.create(
        channel="wechat", date=clock.local_date() - timedelta(days=number), rows=1
    )
    row = {"reconciliation": day, "number": f"T{number}"}
    payments.BillRow.objects.create(kind="payment", amount_fen=9_900, at=now, **row)
    payments.Discrepancy.objects.create(kind="amount", subject="payment", **row)


def _selling(
    number: int,
    user: User,
    order: payments.Order,
    refund: payments.Refund,
    plan: payments.Product,
) -> None:
    now, later = clock.now(), clock.now() + timedelta(days=1)
    line = order.lines.get()
    bundle = make_product(kind="bundle", scope="")
    payments.BundleItem.objects.create(bundle=bundle, item=line.product)
    payments.ShareRule.objects.create(scope=f"course:{number}", payee="7", share_bp=3000)
    payments.LineShare.objects.create(line=line, payee="7", amount_fen=100)
    payments.RefundPolicy.objects.create(product=plan, full_days=3)
    offer = payments.GroupOffer.objects.create(product=plan, price_fen=100, size=2)
    payments.Group.objects.create(
        offer=offer, leader=user, price_fen=100, size=2, created_at=now, expires_at=later
    )
    payments.Gift.objects.create(
        line=line,
        number=number,
        scope="course:1",
        amount_fen=100,
        code_hash=token_hash(f"gift{number}"),
        code_sealed="dev:" + "A" * 40,
        refund=refund,
        expires_at=later,
    )
    payments.Invoice.objects.create(
        order=order, kind="personal", title="个人", email="a@b.cn", amount_fen=100
    )


def _feedback(number: int, user: User, course: Course, lesson: Lesson) -> None:
    now = clock.now()
    pair = {"user": user, "course": course}
    feedback.Event.objects.create(
        **pair,
        lesson=lesson,
        type="impression",
        occurred_at=now,
        received_at=now,
        request_id=uuid.uuid4(),
        client_event_id=f"c{number}",
    )
    feedback.Rating.objects.create(**pair, stars=5)
    feedback.Favourite.objects.create(**pair)
    feedback.CourseHide.objects.create(**pair, action="not_interested")
    feedback.CourseProgress.objects.create(**pair, started_at=now, last_at=now, last_lesson=lesson)
    progress = feedback.LessonProgress.objects.create(
        **pair, lesson=lesson, opened_at=now, clock_at=now, credit_ms=0, intervals=[(0, 30)]
    )
    feedback.ProgressSession.objects.create(progress=progress, session_id="s1")


def _incentives(number: int, user: User) -> None:
    soon = clock.now() + timedelta(days=7)
    template = incentives.CouponTemplate.objects.create(
        key=f"t{number}", title="新人券", discount_fen=500, budget_count=10, claimed_count=9
    )
    incentives.Coupon.objects.create(template=template, user=user, value_fen=500, expires_at=soon)
    incentives.TemplateUser.objects.create(template=template, user=user, claimed=1, allowed=1)
    incentives.EarningRule.objects.create(key=f"r{number}", kind="check_in", points=5, active=False)
    incentives.PointsWallet.objects.create(user=user, balance=5)
    lot = incentives.PointLot.objects.create(
        user=user, source="check_in", granted=5, remaining=5, expires_at=soon
    )
    incentives.PointEntry.objects.create(user=user, lot=lot, delta=5, kind="earn", ref="day")
    incentives.CheckIn.objects.create(user=user, day=clock.local_date(), streak=1, points=5)
    incentives.PointClawback.objects.create(
        user=user, out_refund_no=f"R{number}", order_no="1", points=5, taken=5
    )
    code = incentives.RedeemCode.objects.create(
        key=f"code{number}", code_hash=f"{number:032d}".encode(), scope="course:1", used_count=1
    )
    incentives.RedeemUse.objects.create(code=code, user=user)


def _recommender(number: int, user: User, course: Course) -> None:
    now = clock.now()
    run = recommender.TrainingRun.objects.create(
        status="failed",
        requested_by=user,
        progress=1,
        metrics={"ndcg@10": 0.12, "hr@10": 0.2},
        popular_metrics={"ndcg@10": 0.06},
        curves={"loss": [[0, 2.0], [1, 1.5], [2, 1.2]], "ndcg@10": [[0, 0.05], [1, 0.1]]},
        gate=[{"name": "finite", "passed": True, "text": "没有 NaN"}],
        created_at=now,
        started_at=now,
        finished_at=now,
    )
    version = recommender.ModelVersion.objects.create(
        version=f"v{number}", name="ials", path=f"v{number}", run=run, metrics=run.metrics
    )
    recommender.ServingPointer.objects.update_or_create(
        pk=1, defaults={"version": version, "moved_by": user}
    )
    batch = recommender.BatchScore.objects.create(version=version, path=f"batch-{number}")
    recommender.BatchShard.objects.create(batch=batch, number=0, first_user=1, last_user=user.pk)
    recommender.ShadowComparison.objects.create(
        version=version, against=version, since=now, until=now, users=3, overlap=0.5, ndcg=0.2,
        against_ndcg=0.1, hit_rate=0.4, against_hit_rate=0.3, p95_ms=1, against_p95_ms=1,
    )  # fmt: skip
    recommender.FeedRule.objects.create(action="pin", target_id=course.pk)
    recommender.FeedRequest.objects.create(
        user=user, surface="home", model_name="ials", personalised=True, items=[course.pk]
    )
    recommender.TagDeletion.objects.create(user=user, tag="摄影")
    experiment = Experiment.objects.create(key=f"x{number}", layer="feed")
    Arm.objects.create(experiment=experiment, name="a")
    Exposure.objects.create(experiment=experiment, user=user, arm="a")


def _messages(number: int, user: User) -> None:
    MessageEvent.objects.create(
        account="oa",
        dedupe_key=f"m{number}",
        openid=f"openid-of-number-{number}",
        msg_type="text",
        content="推荐",
        raw_sha="0",
        platform_at=clock.now(),
        reply=b"success",
    )
    OutboundMessage.objects.create(
        user=user, kind="service", dedupe_key=f"o{number}", text="您好", state="uncertain"
    )


def _kernel(number: int, user: User) -> None:
    now = clock.now()
    OutboxRow.objects.create(
        kind="payments.order_paid",
        payload={},
        handler="incentives.points",
        state="dead",
        due_at=now,
        created_at=now,
    )
    IdempotencyKey.objects.create(
        user=user, route="orders.create", key=f"i{number}", body_hash=b"0", created_at=now
    )
    Heartbeat.objects.create(name=f"worker{number}", beat_at=now)
    StaffAction.objects.create(
        user=user, action="recommender.promote", target="version:1", reason="试用", created_at=now
    )
