"""Facts of other apps that leave a trace in the feedback tables."""

from datetime import datetime

from content.selectors.access import course_ids_in
from feedback.services import courses_bought
from payments.events import OrderPaid


def purchase_noted(event: OrderPaid) -> None:
    courses_bought(
        user_id=event.user_id,
        course_ids=course_ids_in(event.scopes),
        order_no=event.order_no,
        at=datetime.fromisoformat(event.paid_at),
    )
