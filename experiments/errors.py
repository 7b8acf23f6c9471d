"""What may go wrong when an operator starts or stops an experiment."""

from django.utils.translation import gettext_lazy as _

from kernel.errors import Conflict


class ExperimentNotDraft(Conflict):
    code = "experiment_not_draft"
    message = _("只有草稿状态的实验可以启动。")


class ExperimentNotRunning(Conflict):
    code = "experiment_not_running"
    message = _("只有进行中的实验可以停止。")


class ExperimentWithoutArms(Conflict):
    code = "experiment_without_arms"
    message = _("实验至少需要两个权重大于 0 的分组。")


class LayerFull(Conflict):
    """`detail.free_bp` is the widest share of the layer that is still free."""

    code = "layer_full"
    message = _("该实验层剩余的流量不足。")
