"""What the catalogue refuses, each with its own code."""

from django.utils.translation import gettext_lazy as _

from kernel.errors import Conflict, DomainError, Forbidden, NotFound


class CourseStateRefused(Conflict):
    """`detail` names the state the course is in and the one asked for."""

    code = "course_state_refused"
    message = _("课程当前状态不允许此操作。")


class TicketForged(Forbidden):
    code = "ticket_invalid"
    message = _("播放凭证无效。")


class TicketExpired(DomainError):
    code = "ticket_expired"
    status = 410
    message = _("播放凭证已过期，请返回课程重新打开。")


class MediaMissing(NotFound):
    code = "media_missing"
    message = _("媒体文件尚未上传。")
