"""What a training run says of itself, stored without a language and said in the reader's.

A run's row holds stages and fixed sentences as they stand in the sources; what carries figures
is held as a name with its parameters.
"""

from __future__ import annotations

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

READ = _("读取数据")
CHOOSE = _("训练与选择模型")
AGAIN = _("再次训练选中的模型")
MEASURE = _("评估")
BASELINES = _("评估基线")
SERVING = _("评估线上模型")
FINAL = _("用全部数据训练")
CHECK = _("检查与上线")

BY_COMMAND = _("命令行")  # why a run was asked for, where nobody said it
DAILY = _("每日定时训练")

SECOND_FITS = {CHOOSE: AGAIN}  # what a fit without validation is called during a stage


def said(text: str) -> str:
    """A stored stage or fixed sentence in the reader's language; other texts as they are."""
    return gettext(text) if text else ""
