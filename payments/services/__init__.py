"""Every change of payments' tables. One transaction each; the platform is never asked here."""

from payments.services.endings import order_end
from payments.services.entitlements import entitlement_grant, entitlement_revoke
from payments.services.fulfilment import payment_succeeded
from payments.services.orders import order_make
from payments.services.products import bundle_set, plan_publish, product_publish
from payments.services.quotes import quote_make

__all__ = [
    "bundle_set",
    "entitlement_grant",
    "entitlement_revoke",
    "order_end",
    "order_make",
    "payment_succeeded",
    "plan_publish",
    "product_publish",
    "quote_make",
]
