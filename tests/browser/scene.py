"""A shop that has been open for ninety days: the same figures on every run."""

import random
import uuid
from datetime import datetime, timedelta
from itertools import count

from accounts.models import User
from content.models import Category, Course, Creator, Lesson
from feedback.models import Event
from kernel import clock
from payments.models import EventHandling, Order, OrderLine, PlatformEvent, Product
from recommender.models import ModelVersion, ServingPointer, TrainingRun

DAYS = 90
COURSES = (
    ("手机摄影三十讲：从会拍到拍好", 9_900, 9),
    ("职场写作：让别人愿意读完", 12_900, 7),
    ("给家庭的理财第一课", 19_900, 6),
    ("零基础学会弹尤克里里", 8_900, 4),
    ("Excel 数据分析实战", 14_900, 8),
    ("儿童阅读陪伴指南", 5_900, 3),
    ("经典唐诗四十首", 3_900, 3),
    ("跑步入门：八周跑完五公里", 4_900, 5),
)
NAMES = (
    *("林小满", "周知行", "沈南星", "顾一鸣", "许青禾", "何苏叶", "江予安", "唐果"),
    *("陆听雨", "苏木", "程砚", "白露", "罗望", "方糖", "秦桑", "叶知秋"),
)


def open_shop(*, daily_learners: int = 12) -> None:
    """Courses, learners, orders, feed events, a trained model and two things that wait."""
    chance = random.Random(7)
    products = _catalogue()
    learners = _learners(chance, daily_learners)
    _orders(chance, learners, products)
    _events(chance, learners)
    _models()
    _waiting()


def _moment(chance: random.Random, days_ago: int) -> datetime:
    """Some moment of that day which has passed already."""
    now = clock.now()
    today = now.astimezone(clock.SHOP_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=days_ago)
    length = (now - today) if days_ago == 0 else timedelta(days=1)
    return start + length * chance.random()


def _catalogue() -> list[tuple[Product, int]]:
    category = Category.objects.create(key="life", name="生活")
    creator = Creator.objects.create(key="lin", nickname="林老师")
    products = []
    for number, (title, price, weight) in enumerate(COURSES):
        product = Product.objects.create(
            kind="course",
            title=title,
            scope=f"course:{number}",
            price_fen=price,
            list_fen=price,
            channels=["jsapi"],
        )
        course = Course.objects.create(
            title=title,
            category=category,
            creator=creator,
            product=product,
            status="published",
            published_at=clock.now(),
            rating_sum=46,
            rating_count=10,
            lesson_count=2,
        )
        Lesson.objects.create(course=course, title="开始之前", is_trial=True, duration_seconds=300)
        Lesson.objects.create(course=course, title="第一课", position=1, duration_seconds=900)
        products.append((product, weight))
    return products


def _learners(chance: random.Random, daily: int) -> list[User]:
    rows = []
    for days_ago in range(DAYS, -1, -1):
        growth = 0.5 + (DAYS - days_ago) / DAYS
        for _ in range(round(daily * growth * chance.uniform(0.6, 1.4))):
            rows.append(
                User(
                    username=f"wx_scene{len(rows)}",
                    nickname=chance.choice(NAMES),
                    date_joined=_moment(chance, days_ago),
                )
            )
    return User.objects.bulk_create(rows)


def _orders(
    chance: random.Random, learners: list[User], products: list[tuple[Product, int]]
) -> None:
    orders, lines = [], []
    numbers = count(1)
    for days_ago in range(DAYS, -1, -1):
        growth = 0.5 + (DAYS - days_ago) / DAYS
        for _ in range(round(9 * growth * chance.uniform(0.6, 1.4))):
            product = chance.choices(*zip(*products, strict=True))[0]
            price, at = product.price_fen, _moment(chance, days_ago)
            back = price if chance.random() < 0.03 else 0
            order = Order(
                no=f"{at:%Y%m%d%H%M%S}{next(numbers):010d}",
                user=chance.choice(learners),
                status="refunded" if back else "paid",
                platform="android",
                total_fen=price,
                payable_fen=price,
                refunded_fen=back,
                created_at=at,
                expires_at=at,
                paid_at=at,
            )
            orders.append(order)
            lines.append((order, product, price, back))
    Order.objects.bulk_create(orders)
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            line_no=1,
            product=product,
            kind="course",
            title=product.title,
            scope=product.scope,
            list_fen=price,
            payable_fen=price,
            refunded_fen=back,
        )
        for order, product, price, back in lines
    )


def _events(chance: random.Random, learners: list[User]) -> None:
    courses = list(Course.objects.all())
    rows: list[Event] = []

    def add(user: User, kind: str, at: datetime, course: Course, feed: uuid.UUID) -> None:
        rows.append(
            Event(
                user=user,
                client_event_id=f"s{len(rows)}",
                type=kind,
                course=course,
                request_id=feed,
                occurred_at=at,
                received_at=at,
            )
        )

    for days_ago in range(DAYS, -1, -1):
        growth = 0.5 + (DAYS - days_ago) / DAYS
        for _ in range(round(24 * growth * chance.uniform(0.8, 1.2))):
            user, at = chance.choice(learners), _moment(chance, days_ago)
            feed = uuid.UUID(int=chance.getrandbits(128), version=4)
            for course in chance.sample(courses, 5):
                add(user, "impression", at, course, feed)
                if chance.random() < 0.07 + 0.06 * growth:
                    add(user, "click", at, course, feed)
    Event.objects.bulk_create(rows)


def _models() -> None:
    now = clock.now()
    loss = [[epoch, 5.1 - 1.9 * (1 - 0.86**epoch)] for epoch in range(24)]
    ndcg = [[epoch, 0.061 + 0.071 * (1 - 0.82**epoch)] for epoch in range(24)]
    facts = {"n_users": 671, "n_items": 9_125, "n_interactions": 100_004, "model_name": "auto"}
    run = TrainingRun.objects.create(
        **facts,
        status="succeeded",
        progress=1,
        stage="完成",
        curves={"loss": loss, "ndcg@10": ndcg},
        metrics={"hr@10": 0.2385, "ndcg@10": 0.1312, "mrr@10": 0.0991, "coverage@10": 0.21},
        baseline_metrics={"hr@10": 0.2146, "ndcg@10": 0.1187, "mrr@10": 0.0893},
        popular_metrics={"hr@10": 0.1013, "ndcg@10": 0.0561, "mrr@10": 0.0430},
        gate=[{"name": "quality", "passed": True, "text": "NDCG@10 0.1312，不低于线上的 0.1187"}],
        version="20261110-0412-blend",
        reason="定时训练",
        created_at=now - timedelta(hours=8),
        started_at=now - timedelta(hours=8),
        finished_at=now - timedelta(hours=7, minutes=51),
    )
    version = ModelVersion.objects.create(
        version=run.version,
        name="blend(ease, history_tower)",
        path=run.version,
        status="serving",
        metrics=run.metrics,
        run=run,
        created_at=now - timedelta(hours=7, minutes=51),
        promoted_at=now - timedelta(hours=7, minutes=51),
    )
    ServingPointer.objects.update_or_create(pk=1, defaults={"version": version})
    TrainingRun.objects.create(
        **facts,
        status="failed",
        progress=0.4,
        error="worker 进程中断",
        created_at=now - timedelta(days=1),
    )


def _waiting() -> None:
    event = PlatformEvent.objects.create(
        source="pay", event_id="EV-1", event_type="TRANSACTION.SUCCESS", body=b"{}"
    )
    EventHandling.objects.create(
        event=event, kind="payment", business_key="T1", state="dead", last_error="金额不一致"
    )
    Course.objects.create(title="城市速写：用一支钢笔", status="review")
