"""GET /v3/certificates (D2): the platform's certificates, sealed with the APIv3 key."""

from __future__ import annotations

from wechat_sandbox.clock import rfc3339
from wechat_sandbox.crypto import sealed
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Reply, Request, json_reply


def certificates(sandbox: Sandbox, _: Request) -> Reply:
    identity = sandbox.identity
    box = sealed(
        identity.certificate_pem.encode(), key=identity.apiv3_key, associated_data="certificate"
    )
    item = {
        "serial_no": identity.certificate_serial,
        "effective_time": rfc3339(identity.certificate_from.timestamp()),
        "expire_time": rfc3339(identity.certificate_until.timestamp()),
        "encrypt_certificate": box,
    }
    return json_reply({"data": [item]})
