"""The recommender's figures in the operator's language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from recommender.core.errors import CoreError, said_of
from recommender.core_words import in_words


def model_words() -> dict[str, str]:
    """What stands behind each model's name."""
    return {
        "popular": _("热门榜"),
        "recent": _("近期热门"),
        "newest": _("最新上架"),
        "concat_linear": _("拼接线性"),
        "mf": _("评分矩阵分解"),
        "ials": _("隐式矩阵分解"),
        "ease": _("课程相关矩阵"),
        "transitions": _("学习顺序"),
        "history_tower": _("历史双塔"),
        "item_knn": _("课程近邻"),
        "user_knn": _("学员近邻"),
        "session_knn": _("会话近邻"),
        "neumf": _("神经协同过滤"),
        "lightgcn": _("图卷积"),
        "sasrec": _("序列注意力"),
        "two_tower": _("内容双塔"),
        "ensemble": _("融合"),
        "auto": _("自动选择"),
    }


def model_named(name: str) -> str:
    """The name with what it means, the name alone where nobody knows."""
    said = model_words().get(name)
    return f"{said} {name}" if said else name


def curve_named(name: str) -> str:
    """A curve is stored as its stage, the model's name and the figure's short name."""
    told, _blank, figure = name.rpartition(" ")
    stage, _blank, model = told.rpartition(" ")
    if model not in model_words():
        stage, model = told, ""
    figures = {"loss": _("损失"), "ndcg@10": _("验证 NDCG@10"), "recall@20": _("验证召回率@20")}
    named = (_(stage) if stage else "", model_named(model), figures.get(figure, figure))
    return " ".join(part for part in named if part)


def error_sentence(error: CoreError) -> str:
    """What the core refused, said in the operator's language before its own words."""
    said = {
        "BadParams": _("参数有误"),
        "UnknownModel": _("没有这个模型"),
        "TrainingDiverged": _("训练发散"),
        "TrainingStopped": _("训练被中止"),
        "DatasetError": _("数据不可用"),
        "ArtifactError": _("模型文件不可用"),
    }.get(type(error).__name__)
    why = in_words(said_of(error))
    return _("%(said)s：%(why)s") % {"said": said, "why": why} if said else why


def surface_words() -> dict[str, str]:
    """Where a feed was shown."""
    return {
        "home": _("首页"),
        "course": _("课程页"),
        "checkout": _("结算页"),
        "after_lesson": _("学完之后"),
        "message": _("公众号消息"),
    }


def cause_words() -> dict[str, str]:
    """Why the cleaning left events out."""
    return {
        "impossible_value": _("评分或观看比例超出范围"),
        "creator_on_own_course": _("创作者给自己的课程"),
        "bot": _("机器人：一天内上报过多"),
        "burst": _("突发：一分钟内上报过多"),
        "repeated": _("重复上报"),
        "impossible_dwell": _("观看时长不可能达到"),
        "outlier_rater": _("评分明显偏离他人"),
        "few_items": _("用户行为太少"),
        "few_users": _("课程学员太少"),
        "low_rating": _("低分：不作为喜欢"),
        "no_signal": _("没有信息量的行为"),
        "repeated_pair": _("同一学员同一课程的后续行为"),  # runs of an earlier release
    }


def threshold_words() -> dict[str, str]:
    return {
        "burst_events": _("一分钟上报上限"),
        "bot_events": _("一天上报上限"),
        "repeat_seconds": _("重复间隔（秒）"),
        "full_plays": _("一分钟学完上限（门）"),
        "outlier_ratings": _("判定偏离所需评分数"),
        "outlier_stars": _("偏离上限（星）"),
        "min_user_items": _("用户最少课程数"),
        "min_item_users": _("课程最少学员数"),
    }


def matrix_words() -> dict[str, str]:
    """Parameters of the interaction matrix, in the order in which they are read."""
    return {
        "alpha": _("行为系数 alpha"),
        "beta": _("评分系数 beta"),
        "half_life_days": _("半衰期（天，0 为不衰减）"),
        "saturation": _("饱和点"),
        "centre": _("评分中心（星）"),
        "learn": _("核实的学习"),
        "purchase": _("购买"),
        "complete": _("学完"),
        "favourite": _("收藏"),
        "share": _("分享"),
        "rating": _("评分"),
        "play": _("播放"),
        "question": _("提问"),
        "view": _("浏览"),
        "click": _("点击"),
    }


def cleaning_lines(report: Mapping[str, Any]) -> list[str]:
    """The cleaning report, one sentence a line."""
    if not report:
        return []
    lines = [
        _("读取 %(read)s 条行为，保留 %(kept)s 条。")
        % {"read": report.get("read", 0), "kept": report.get("kept", 0)}
    ]
    named, users = cause_words(), report.get("users", {})
    for cause, count in report.get("left_out", {}).items():
        line = _("%(why)s：%(n)s 条") % {"why": named.get(cause, cause), "n": count}
        if cause in users:
            line += _("，涉及 %(users)s 位用户") % {"users": users[cause]}
        lines.append(line)
    if report.get("thresholds"):
        said = threshold_words()
        told = "，".join(f"{said.get(k, k)} {v:g}" for k, v in report["thresholds"].items())
        lines.append(_("阈值：%(told)s。原始行为一条不删。") % {"told": told})
    return lines


def failed_line(result: Mapping[str, Any]) -> str:
    """One of several models, of which there is no evaluation."""
    return _("%(model)s 没有结果：%(why)s") % {
        "model": model_named(result["model"]),
        "why": in_words(result["failed"]),
    }


def trial_lines(model: str, search: Mapping[str, Any]) -> list[str]:
    """What a search of parameters tried, in order, and what validation said of each."""
    trials = search.get("trials", [])
    best = max((t["value"] for t in trials if t["value"] is not None), default=None)
    lines = []
    for n, trial in enumerate(trials, 1):
        told = "，".join(f"{key}={json.dumps(value)}" for key, value in trial["params"].items())
        facts = {"model": model, "n": n, "params": told or _("默认值")}
        if trial["value"] is None:
            why = in_words(trial["failed"])
            line = _("%(model)s 第 %(n)s 次：%(why)s；参数：%(params)s") % {**facts, "why": why}
        else:
            facts["value"] = f"{search['metric']} {trial['value']:.4f}"
            line = _("%(model)s 第 %(n)s 次：验证 %(value)s；参数：%(params)s") % facts
        if trial["value"] is not None and trial["value"] == best:
            line, best = _("%(line)s（选用）") % {"line": line}, None
        lines.append(line)
    return lines


def recipe_lines(recipe: Mapping[str, Any]) -> list[str]:
    """How a version was made: its models and their weights."""
    members = recipe.get("members", [])
    lines = [
        _("%(model)s，权重 %(weight).2f")
        % {"model": model_named(member["name"]), "weight": member["weight"]}
        for member in members
    ]
    if recipe.get("cold_start"):
        lines.append(_("无人学过的课程按内容、没有历史的学员按兴趣与渠道排序。"))
    return lines


def told_lines(told: Mapping[str, Any]) -> list[str]:
    """Beside the interactions, what the models learned from."""
    lines = [
        _("无人学过的课程 %(items)s 门，按内容排序；填写过兴趣或有来源渠道的学员 %(users)s 位。")
        % {"items": told["cold_items"], "users": told["labelled_users"]},
        _("来自推荐、记有曝光概率的行为：%(n)s 对。") % {"n": told["propensities"]},
    ]
    if told["blocks"]:
        said = {"vectors": _("文本向量"), "cover": _("封面"), "sound": _("声音")}
        names = "，".join(said.get(name, name) for name in told["blocks"])
        lines.append(_("另外的内容特征：%(names)s") % {"names": names})
    return lines


def lineage_lines(lineage: Mapping[str, Any]) -> list[str]:
    """What a run came from, one sentence a line."""
    lines = []
    if "resumed_from" in lineage:
        lines.append(_("从中断的任务 #%(run)s 的检查点继续。") % {"run": lineage["resumed_from"]})
    drifted = lineage.get("drift", [])
    lines += [_("漂移：%(text)s") % {"text": signal.get("text", "")} for signal in drifted]
    if "matrix" in lineage:
        matrix = lineage["matrix"]
        told = "，".join(
            f"{said} {matrix[name]:g}" for name, said in matrix_words().items() if name in matrix
        )
        lines.append(_("交互矩阵：%(told)s") % {"told": told})
    if "told" in lineage:
        lines += told_lines(lineage["told"])
    if "packages" in lineage:
        told = "，".join(f"{name} {version}" for name, version in lineage["packages"].items())
        lines.append(_("软件版本：%(told)s") % {"told": told})
    if "threads" in lineage:
        lines.append(_("训练线程：%(n)s") % {"n": lineage["threads"]})
    return lines
