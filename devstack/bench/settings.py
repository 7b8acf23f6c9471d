"""The product's settings with two measuring doors added; for the bench's web process alone."""

from kpay_site.settings import *  # noqa: F403

ROOT_URLCONF = "devstack.bench.urls"
