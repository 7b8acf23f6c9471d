"""One effect and one answer for an `Idempotency-Key`.

For calls that only write our database, the key's row, the effect and the answer commit
together. For calls that talk to the platform (`talks=True`) the row commits first with a
lease; a repeat after the lease runs the view again, whose flow goes on with the same number.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import clock
from kernel.errors import Conflict, InvalidInput, Unprocessable
from kernel.models import IdempotencyKey

LEASE = timedelta(seconds=30)
KEEP = timedelta(hours=24)
MAX_LENGTH = 80

View = Callable[..., Response]


class KeyReused(Unprocessable):
    code = "idempotency_key_reused"
    message = _("同一个幂等键不能用于不同的请求。")


class InProgress(Conflict):
    code = "idempotency_in_progress"
    message = _("相同的请求正在处理中，请稍候。")


def idempotent(*, route: str, talks: bool = False, required: bool = True) -> Callable[[View], View]:
    """Decorate a view method `(self, request, …) -> Response`; keys live per user and route."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            key = _key(request, required=required)
            if key is None:
                return view(self, request, *args, **kwargs)
            run = _answer_talking if talks else _answer_atomic
            digest = _digest(request, kwargs)
            user_id = int(request.user.pk or 0)
            return run(lambda: view(self, request, *args, **kwargs), user_id, route, key, digest)

        return answer

    return decorate


def _key(request: Request, *, required: bool) -> str | None:
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        if required:
            raise InvalidInput(
                _("请求缺少 Idempotency-Key。"), fields={"Idempotency-Key": [_("必须提供。")]}
            )
        return None
    if len(key) > MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidInput(
            fields={"Idempotency-Key": [_("最多 80 个可见的 ASCII 字符。")]},
        )
    return key


def _digest(request: Request, kwargs: dict[str, Any]) -> bytes:
    """Of the parsed body and the path: key order and spaces do not matter."""
    body = orjson.dumps([request.data, kwargs], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(body).digest()


def _stored(row: IdempotencyKey, digest: bytes) -> Response | None:
    """The answer to repeat, or None where the first try has not ended. Raises `KeyReused`."""
    if bytes(row.body_hash) != digest:
        raise KeyReused
    if row.status is None:
        return None
    return Response(row.body, status=row.status)


def _answer_atomic(
    run: Callable[[], Response], user_id: int, route: str, key: str, digest: bytes
) -> Response:
    found = IdempotencyKey.objects.filter(user_id=user_id, route=route, key=key).first()
    if found is not None:
        stored = _stored(found, digest)
        if stored is not None:
            return stored
    try:
        with transaction.atomic():
            # A second copy waits here on the unique index until the first commits or dies.
            row = IdempotencyKey.objects.create(
                user_id=user_id, route=route, key=key, body_hash=digest, created_at=clock.now()
            )
            response = run()
            _keep(row, response)
            return response
    except IntegrityError:
        found = IdempotencyKey.objects.filter(user_id=user_id, route=route, key=key).first()
        if found is None:
            raise
        stored = _stored(found, digest)
        if stored is None:
            raise InProgress from None
        return stored


def _answer_talking(
    run: Callable[[], Response], user_id: int, route: str, key: str, digest: bytes
) -> Response:
    at = clock.now()
    with transaction.atomic():
        IdempotencyKey.objects.bulk_create(
            [
                IdempotencyKey(
                    user_id=user_id,
                    route=route,
                    key=key,
                    body_hash=digest,
                    created_at=at,
                    lease_until=None,
                )
            ],
            ignore_conflicts=True,
        )
        row = IdempotencyKey.objects.select_for_update().get(user_id=user_id, route=route, key=key)
        stored = _stored(row, digest)
        if stored is not None:
            return stored
        if row.lease_until is not None and row.lease_until > at:
            raise InProgress
        row.lease_until = at + LEASE
        row.save(update_fields=["lease_until"])
    try:
        response = run()
    except Exception:
        # Nothing was answered: the next copy may go on at once with the same number.
        IdempotencyKey.objects.filter(pk=row.pk, status=None).update(lease_until=None)
        raise
    _keep(row, response)
    return response


def _keep(row: IdempotencyKey, response: Response) -> None:
    row.status = response.status_code
    row.body = orjson.loads(orjson.dumps(response.data, default=str))
    row.save(update_fields=["status", "body"])
