"""What a web process serves."""

import gc
import os
import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

from django.core.wsgi import get_wsgi_application

# Packages of the development environment that others import when they find them (structlog and
# DRF: rich, Pygments; Celery: greenlet; Django's test tools: Jinja2). A web container has none of
# them; beside the tests they would cost each worker 6 MB.
DEVELOPMENT_ONLY = ("rich", "pygments", "attr", "greenlet", "jinja2")
# requests would guess encodings with these, for 3 MB; WeChat answers in UTF-8.
NO_GUESSING = ("charset_normalizer", "chardet")
for name in (*DEVELOPMENT_ONLY, *NO_GUESSING):
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # "not there", for import

warnings.filterwarnings("ignore", "Unable to find acceptable character detection")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kpay_site.settings")
# DRF asks for requests, for its test client; we load it (5 MB) with the first call to WeChat.
sys.modules.setdefault("requests", None)  # type: ignore[arg-type]
application = get_wsgi_application()
import_module("rest_framework.compat")
if not sys.modules["requests"]:
    del sys.modules["requests"]


def request_factory(*arguments: Any, **named: Any) -> Any:
    """DRF's own, loaded when it is called."""
    return import_module("rest_framework.test").APIRequestFactory(*arguments, **named)


# drf-spectacular takes it from DRF's test tools, which load Django's and unittest (2 MB); it calls
# it where the API documents are generated.
stand_in = ModuleType("rest_framework.test")
stand_in.__dict__["APIRequestFactory"] = request_factory
if sys.modules.setdefault("rest_framework.test", stand_in) is stand_in:
    import_module("drf_spectacular.plumbing")
    del sys.modules["rest_framework.test"]

# Keep what is loaded out of the collector's sight: it would otherwise wait for a quarter of these
# half million objects to come anew before it looks for garbage.
gc.collect()
gc.freeze()
gc.collect()  # counts anew what is left
