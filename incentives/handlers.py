"""Facts from below that earn points or take them back."""

from feedback.events import LessonFinished
from incentives import services
from payments.events import OrderPaid, RefundSucceeded


def points_for_lesson(event: LessonFinished) -> None:
    services.lesson_finished_reward(user_id=event.user_id, lesson_id=event.lesson_id)


def points_for_purchase(event: OrderPaid) -> None:
    services.purchase_reward(
        user_id=event.user_id, order_no=event.order_no, payable_fen=event.payable_fen
    )


def points_back_for_refund(event: RefundSucceeded) -> None:
    services.purchase_clawback(
        user_id=event.user_id, order_no=event.order_no, out_refund_no=event.out_refund_no
    )
