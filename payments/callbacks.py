"""Where WeChat Pay reports to. 2xx is said after the commit alone (`wechat.md` D4)."""

import logging

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from kernel.errors import DomainError
from kernel.transactions import retrying
from kernel.wire.bodies import bounded_body
from payments.channels.wechat_v3 import paid_facts, parse_notify, refund_facts
from payments.errors import FactsDiffer
from payments.services.notices import other_notice, payment_notice, refund_notice
from wechat.pay import Notify, PayResult, RefundResult

logger = logging.getLogger(__name__)

MAX_BODY = 64 * 1024


@csrf_exempt
@require_POST
def pay_notify(request: HttpRequest) -> JsonResponse:
    """Verify, keep, apply, answer. A refusal is 4xx with no effect and no outbound call."""
    try:
        notify = parse_notify(request.META, bounded_body(request, MAX_BODY))
        retrying(lambda: _apply(notify))
    except DomainError as refused:
        logger.warning("pay notify refused: %s %s", refused.code, refused.detail)
        failed = {"code": "FAIL", "message": str(refused.message)}
        return JsonResponse(failed, status=refused.status)
    return JsonResponse({"code": "SUCCESS", "message": "OK"})


def _apply(notify: Notify) -> None:
    event_id, event_type, body = notify.id, notify.event_type, notify.raw_body
    if event_type == "TRANSACTION.SUCCESS":
        result = PayResult.parse(notify.resource)
        if result.trade_state != "SUCCESS":
            raise FactsDiffer("trade_state")
        paid = paid_facts(result)
        payment_notice(event_id=event_id, event_type=event_type, body=body, facts=paid)
    elif event_type.startswith("REFUND."):
        told = refund_facts(RefundResult.parse(notify.resource))
        refund_notice(event_id=event_id, event_type=event_type, body=body, facts=told)
    else:
        other_notice(event_id=event_id, event_type=event_type, body=body)
