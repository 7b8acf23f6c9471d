"""What feedback makes of a paid order, and its admin pages."""

import pytest
from django.urls import reverse

from accounts.models import User
from content.models import Course
from feedback.models import Event
from feedback.selectors import recent_interactions
from feedback.services import hide_course
from kernel.outbox import deliver_due
from payments.services import order_make
from tests.content.shop import make_course
from tests.payments.conftest import pay


def test_a_paid_order_is_a_purchase_among_the_interactions_and_opens_the_course(learner, api_for):
    user, course = learner(), make_course(price_fen=100)
    order = order_make(
        user=user, items=[{"product_id": course.product_id, "quantity": 1}], platform="android"
    )
    assert recent_interactions(user.pk) == []

    pay(order)
    deliver_due()

    ((course_id, kind, _value, _at),) = recent_interactions(user.pk)
    assert (course_id, kind) == (course.pk, "purchase")
    assert Course.objects.get().learner_count == 1
    assert Event.objects.get().client_event_id == f"server:purchase:{order.no}:{course.pk}"
    mine = api_for(user).get("/api/v1/me/courses").json()["items"]
    assert [item["id"] for item in mine] == [str(course.pk)]
    assert api_for(user).get(f"/api/v1/lessons/{course.lessons.last().pk}").status_code == 200


@pytest.mark.parametrize(
    "name", ["event", "rating", "favourite", "coursehide", "courseprogress", "lessonprogress"]
)
def test_the_operators_pages_open(learner, api_for, client, name):
    client.force_login(User.objects.create_superuser("operator", "secret-pass-1"))
    user, course = learner(), make_course(price_fen=0)
    caller = api_for(user)
    caller.put(f"/api/v1/courses/{course.pk}/rating", {"stars": 5})
    caller.put(f"/api/v1/courses/{course.pk}/favourite")
    caller.get(f"/api/v1/lessons/{course.lessons.first().pk}")
    hide_course(user_id=user.pk, course_id=course.pk, action="not_interested")
    model = next(m for m in _models() if m._meta.model_name == name)

    listed = client.get(reverse(f"admin:feedback_{name}_changelist"), {"q": user.username})
    page = client.get(reverse(f"admin:feedback_{name}_change", args=[model.objects.first().pk]))

    assert (listed.status_code, page.status_code) == (200, 200)
    assert user.nickname in listed.content.decode()


def _models():
    from django.apps import apps

    return apps.get_app_config("feedback").get_models()
