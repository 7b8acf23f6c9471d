from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("公众号与消息")

    def ready(self) -> None:
        from messaging import handlers  # noqa: F401, PLC0415  (registers outbox handlers)
