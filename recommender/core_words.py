"""What the core says, in the reader's language. Its own words are English and know their parts."""

from __future__ import annotations

from functools import cache

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from recommender.core.errors import Sentence


def in_words(said: object) -> str:
    """A sentence of the core as the reader reads it; what nobody translated stays as it is."""
    if isinstance(said, list | tuple):
        return ("; " if _english() else "；").join(map(in_words, said))
    if not isinstance(said, str):
        return str(said)
    if _english():
        return str(said)
    known = _templates(get_language() or "")
    if not isinstance(said, Sentence):
        return known.get(said, said)
    template = known.get(said.template, said.template)
    if not said.params:
        return template
    return template % {name: in_words(part) for name, part in said.params.items()}


def _english() -> bool:
    return (get_language() or "").startswith("en")


@cache
def _templates(language: str) -> dict[str, str]:
    """The core's words -> those of the active language, `language`."""
    return _rows() | _reports() | _arguments() | _data() | _fits() | _systems()


def _rows() -> dict[str, str]:
    """Why a row cannot be used."""
    return {
        "wrong number of fields": _("字段数不对"),
        "a quote is never closed": _("引号没有闭合"),
        "empty user_id or item_id": _("user_id 或 item_id 为空"),
        "empty %(name)s": _("%(name)s 为空"),
        "NUL byte": _("含有 NUL 字节"),
        "line contains NUL": _("含有 NUL 字节"),
        "not UTF-8": _("不是 UTF-8 编码"),
        "unknown event": _("未知的行为类型"),
        "%(name)s is not a number": _("%(name)s 不是数字"),
        "%(name)s is out of range": _("%(name)s 超出范围"),
        "%(name)s repeats": _("%(name)s 重复"),
        "%(name)s is longer than %(most)s characters": _("%(name)s 超过 %(most)s 个字符"),
        "published_at is not a date": _("published_at 不是日期"),
        "timestamp before 1970": _("时间早于 1970 年"),
        "timestamp in the future": _("时间在未来"),
        "timestamp before 1970 or in the future": _("时间早于 1970 年或在未来"),
        "a rating must lie between 0.5 and 5": _("评分必须在 0.5 到 5 之间"),
        "a rating must lie between %(least)s and %(most)s as most here do": _(
            "评分必须与其余多数一样，在 %(least)s 到 %(most)s 之间"
        ),
        "the watched share must lie between 0 and 100": _("观看比例必须在 0 到 100 之间"),
    }


def _reports() -> dict[str, str]:
    """What a reading found."""
    return {
        "%(file)s:%(line)s: %(reason)s": _("%(file)s:%(line)s：%(reason)s"),
        "%(file)s, line %(line)s: %(reason)s": _("%(file)s 第 %(line)s 行：%(reason)s"),
        "%(bad)s of %(rows)s rows were skipped": _("共 %(rows)s 行，跳过 %(bad)s 行"),
        "skipped by cause: %(causes)s": _("跳过的原因：%(causes)s"),
        "%(reason)s: %(n)s (first %(file)s, line %(line)s)": _(
            "%(reason)s %(n)s 行（首见于 %(file)s 第 %(line)s 行）"
        ),
        "it holds no row": _("文件里没有数据行"),
        "impressions: %(n)s": _("曝光 %(n)s 行"),
        "interactions.csv holds no interaction that can be used: %(causes)s": _(
            "interactions.csv 没有可用的行为：%(causes)s"
        ),
        "%(name)s holds no pair that can be used: %(causes)s": _(
            "%(name)s 没有可用的配对：%(causes)s"
        ),
        "%(n)s events repeat a pair of user and item: the first of each counts": _(
            "%(n)s 条行为属于已出现过的用户与课程，每对只计第一条"
        ),
        "%(n)s of %(all)s events carry no time: they count as the oldest": _(
            "%(all)s 条行为中 %(n)s 条没有时间，按最早的行为计"
        ),
        "%(n)s of %(all)s events carry no time: the set counts as one without times": _(
            "%(all)s 条行为中 %(n)s 条没有时间，整个数据集按没有时间处理"
        ),
        "%(n)s rows name no event: each is a view": _("%(n)s 行没有写行为类型，按浏览计"),
        "%(n)s ratings without a number count as interactions; import_dataset skips them": _(
            "%(n)s 条评分没有分数，只作为行为计；import_dataset 会跳过这些行"
        ),
        "%(n)s rows carry an id of more than %(most)s characters; import_dataset skips them": _(
            "%(n)s 行的编号超过 %(most)s 个字符；import_dataset 会跳过这些行"
        ),
        "the ratings run from %(least)s to %(most)s and not from 0.5 to 5; "
        "import_dataset skips what lies outside 0.5 to 5": _(
            "评分范围是 %(least)s 到 %(most)s，而不是 0.5 到 5；"
            "import_dataset 会跳过 0.5 到 5 之外的评分"
        ),
        "%(source)s → %(target)s: %(users)s users, AUC %(auc)s (popular %(popular_auc)s), "
        "NDCG@10 %(ndcg)s (popular %(popular_ndcg)s)": _(
            "%(source)s → %(target)s：%(users)s 位用户，AUC %(auc)s（热门榜 %(popular_auc)s），"
            "NDCG@10 %(ndcg)s（热门榜 %(popular_ndcg)s）"
        ),
        "of %(tested)s tested users at most %(most)s share a pair of categories, "
        "and %(least)s are needed": _(
            "受测的 %(tested)s 位用户中，同一对分类最多 %(most)s 位，至少需要 %(least)s 位"
        ),
    }


def _arguments() -> dict[str, str]:
    """What was asked for and cannot be."""
    return {
        "no model named '%(name)s'; known: %(known)s": _(
            "没有名为 %(name)s 的模型；可用：%(known)s"
        ),
        "no protocol named '%(name)s'; known: %(known)s": _(
            "没有名为 %(name)s 的切分方式；可用：%(known)s"
        ),
        "%(name)s has no parameter '%(key)s'; known: %(known)s": _(
            "%(name)s 没有参数 %(key)s；可用：%(known)s"
        ),
        "%(name)s: %(key)s must be a list": _("%(name)s：%(key)s 必须是列表"),
        "%(name)s: %(key)s must be true or false": _("%(name)s：%(key)s 必须是 true 或 false"),
        "%(name)s: %(key)s must be a text": _("%(name)s：%(key)s 必须是文字"),
        "%(name)s: %(key)s must be a number": _("%(name)s：%(key)s 必须是数字"),
        "%(name)s: %(key)s must be a whole number": _("%(name)s：%(key)s 必须是整数"),
        "%(name)s: %(key)s must be at least 1": _("%(name)s：%(key)s 至少为 1"),
        "%(name)s: %(key)s must lie between 0 and %(most)s": _(
            "%(name)s：%(key)s 必须在 0 到 %(most)s 之间"
        ),
        "matrix must be an object of numbers": _("matrix 必须是由数字组成的对象"),
        "--params is not JSON: %(why)s": _("--params 不是 JSON：%(why)s"),
        "--tune searches lists and cannot be used with --rate": _(
            "--tune 按推荐列表搜索参数，不能与 --rate 同用"
        ),
        "--params must be a JSON object": _("--params 必须是一个 JSON 对象"),
        "%(option)s belongs to one model, not to all": _(
            "%(option)s 只能用于单个模型，不能用于 all"
        ),
        "%(option)s must be at least %(least)s": _("%(option)s 至少为 %(least)s"),
        "--seed must lie between 0 and 4294967295": _("--seed 必须在 0 到 4294967295 之间"),
        "%(name)s cannot be tuned; models that can: %(known)s": _(
            "%(name)s 不能搜索参数；可以搜索的模型：%(known)s"
        ),
        "only %(n)s users can be held out: too few to tune on": _(
            "只能留出 %(n)s 位用户，不足以搜索参数"
        ),
        "%(name)s ranks items and predicts no ratings; use %(other)s": _(
            "%(name)s 只排序课程，不预测评分；请用 %(other)s"
        ),
    }


def _data() -> dict[str, str]:
    """Folders and files that cannot be read, learned from or written."""
    return {
        "no dataset folder at %(folder)s": _("%(folder)s 不是数据集文件夹"),
        "%(folder)s has no interactions.csv": _("%(folder)s 里没有 interactions.csv"),
        "%(name)s is not a file": _("%(name)s 不是文件"),
        "%(name)s must begin with the header %(columns)s": _(
            "%(name)s 的第一行必须是表头 %(columns)s"
        ),
        "%(name)s must have the columns %(columns)s": _("%(name)s 必须有这些列：%(columns)s"),
        "cannot read %(path)s: %(why)s": _("无法读取 %(path)s：%(why)s"),
        "cannot write %(path)s: %(why)s": _("无法写入 %(path)s：%(why)s"),
        "%(name)s holds no vectors by id: %(why)s": _("%(name)s 里没有按编号存放的向量：%(why)s"),
        "%(name)s: vectors must be finite numbers": _("%(name)s：向量必须是有限的数字"),
        "the dataset holds no ratings to learn from": _("数据集里没有可以学习的评分"),
        "the protocol %(name)s needs timestamps, this dataset has none": _(
            "切分方式 %(name)s 需要时间，而这个数据集没有时间"
        ),
        "the protocol %(name)s holds out nothing: no user has enough events": _(
            "切分方式 %(name)s 留不出测试数据：没有用户有足够的行为"
        ),
        "items.csv names fewer than two categories: nothing to transfer between": _(
            "items.csv 里不足两个分类，无从比较"
        ),
        "no user has taken items of two categories": _("没有用户学过两个分类的课程"),
        "weights must be numbers from 0 to %(most)s": _("权重必须是 0 到 %(most)s 之间的数字"),
        "the events behind the interactions are not at hand for a matrix": _(
            "没有计算交互矩阵所需的原始行为"
        ),
    }


def _fits() -> dict[str, str]:
    """Fits that ended without a model."""
    return {
        "loss %(loss)s in epoch %(epoch)s; try a smaller learning_rate": _(
            "第 %(epoch)s 轮损失为 %(loss)s；请调小 learning_rate"
        ),
        "loss exploded from %(first)s to %(loss)s in epoch %(epoch)s; "
        "try a smaller learning_rate": _(
            "第 %(epoch)s 轮损失从 %(first)s 暴涨到 %(loss)s；请调小 learning_rate"
        ),
        "%(model)s: factors are not finite": _("%(model)s：因子不是有限的数"),
        "ials: factors not finite after iteration %(n)s": _(
            "ials：第 %(n)s 次迭代后因子不是有限的数"
        ),
        "ease: weights are not finite; raise the regularization": _(
            "ease：权重不是有限的数；请调大 regularization"
        ),
        "ease: the item matrix is not positive; raise the regularization": _(
            "ease：课程矩阵不正定；请调大 regularization"
        ),
        "mf: %(why)s": _("mf：%(why)s"),
        "Matrix is not positive definite": _("矩阵不正定"),
        "training was stopped by its caller": _("训练被调用者中止"),
        "'%(master)s' is no Spark master: local[n], spark://host:port, k8s://… or yarn": _(
            "%(master)s 不是 Spark 主节点：应为 local[n]、spark://host:port、k8s://… 或 yarn"
        ),
        "%(master)s needs a folder that all its executors see (KPAY_SPARK_DIR)": _(
            "%(master)s 需要一个所有执行器都能看到的文件夹（KPAY_SPARK_DIR）"
        ),
        "there is no Java in %(folder)s (JAVA_HOME)": _("%(folder)s 里没有 Java（JAVA_HOME）"),
        "Spark needs Java 17: set JAVA_HOME, or install requirements-spark.txt": _(
            "Spark 需要 Java 17：请设置 JAVA_HOME，或安装 requirements-spark.txt"
        ),
        "spark_ials needs %(missing)s: pip install -r requirements-spark.txt": _(
            "spark_ials 需要 %(missing)s：pip install -r requirements-spark.txt"
        ),
        "the Spark master does not answer (%(refusals)s)": _(
            "Spark 主节点没有应答（%(refusals)s）"
        ),
        "no folder for Spark: %(why)s": _("没有可供 Spark 使用的文件夹：%(why)s"),
        "Spark on %(master)s did not start: %(why)s": _("%(master)s 上的 Spark 没有启动：%(why)s"),
        "Spark ended without a model: %(why)s": _("Spark 结束时没有给出模型：%(why)s"),
        "%(master)s gave no executor within %(seconds)s s": _(
            "%(master)s 在 %(seconds)s 秒内没有给出执行器"
        ),
        "Spark took longer than %(seconds)s s and was ended": _(
            "Spark 用时超过 %(seconds)s 秒，已被结束"
        ),
    }


def _systems() -> dict[str, str]:
    """What an operating system says of files."""
    return {
        "Permission denied": _("没有权限"),
        "Operation not permitted": _("不允许这样做"),
        "No such file or directory": _("没有这个文件或文件夹"),
        "Not a directory": _("路径中的一段不是文件夹"),
        "Is a directory": _("是一个文件夹"),
        "File name too long": _("文件名太长"),
        "No space left on device": _("磁盘已满"),
        "Read-only file system": _("文件系统是只读的"),
    }
