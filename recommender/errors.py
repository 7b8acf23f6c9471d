"""What the recommender refuses, each named for what happened."""

from django.utils.translation import gettext_lazy as _

from kernel.errors import Conflict, NotFound


class LeaseLost(Exception):  # noqa: N818  (named for what happened, as the house does)
    """The run was given up for dead or closed by somebody else: this worker must stop."""


class GateRefused(Exception):  # noqa: N818
    """The candidate may not serve; the run holds the checks."""


class DatasetRefused(Exception):  # noqa: N818
    """The dataset folder cannot be imported; the message is one sentence."""


class NothingToRollBack(Conflict):
    code = "nothing_to_roll_back"
    message = _("没有可以回退的模型版本。")


class ArtifactMissing(Conflict):
    code = "artifact_missing"
    message = _("该版本的模型文件已不存在，无法上线。")


class ServesAlready(Conflict):
    code = "serves_already"
    message = _("该版本正在线上，不能作为影子。")


class NothingServes(Conflict):
    code = "nothing_serves"
    message = _("还没有可用的模型版本。")


class NothingChanged(Conflict):
    """What was asked for is so already; nothing was written."""

    code = "nothing_changed"
    message = _("没有任何改变。")


class ServesNow(NothingChanged):
    message = _("该版本已在线上，没有任何改变。")


class ShadowNow(NothingChanged):
    message = _("该版本已在影子对比中，没有任何改变。")


class NoShadow(NothingChanged):
    message = _("该版本不在影子对比中，没有任何改变。")


class UnknownVersion(NotFound):
    message = _("没有这个模型版本。")


class UnknownRequest(NotFound):
    code = "not_found"
    message = _("推荐记录不存在。")
