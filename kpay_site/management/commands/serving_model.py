"""`manage.py serving_model`: which model serves, since when, and how good it was measured."""

from typing import Any

from django.core.management.base import BaseCommand

from recommender.models import ModelVersion

SHOWN = ("ndcg@10", "hr@10", "coverage@10")


class Command(BaseCommand):
    help = "Print name, version and measured quality of the serving model; nothing without one."

    def handle(self, *args: Any, **options: Any) -> None:
        version = (
            ModelVersion.objects.filter(status=ModelVersion.Status.SERVING)
            .select_related("run")
            .first()
        )
        if version is None:
            return
        popular = version.run.popular_metrics if version.run else {}
        figures = ", ".join(
            f"{name} {version.metrics[name]:.4f} (popular {popular.get(name, 0):.4f})"
            for name in SHOWN
            if name in version.metrics
        )
        self.stdout.write(f"{version.name} {version.version}: {figures}")
