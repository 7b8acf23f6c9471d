"""The product's doors, the floor beside them, and a look at a worker's modules."""

import os
import sys

from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from content.models import Course
from kpay_site.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class FloorView(APIView):
    """What any signed-in read costs here: the same authentication and one primary-key SELECT."""

    def get(self, request: Request, course_id: int) -> Response:
        return Response(Course.objects.values("id", "title").get(pk=course_id))


def modules(request: HttpRequest) -> JsonResponse:
    """Names of all modules that the answering worker has imported."""
    return JsonResponse({"pid": os.getpid(), "modules": sorted(sys.modules)})


urlpatterns = [
    *urlpatterns,
    path("api/v1/bench/floor/<int:course_id>", FloorView.as_view()),
    path("api/v1/bench/modules", modules),
]
