from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("公众号与消息")

    def ready(self) -> None:
        """Hear the facts whose handlers talk to the platform."""
        from kernel.outbox import subscribe  # noqa: PLC0415  (needs the models)
        from messaging.events import FollowerSeen, MessageQueued  # noqa: PLC0415

        for event, name in ((FollowerSeen, "learn_follower"), (MessageQueued, "deliver_message")):
            path = f"messaging.handlers.{name}"
            subscribe(event, path, name=f"messaging.{name}", talks=True)
