"""What people mean, what we answer, how often we may write. Pure."""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

MARKETING_A_DAY = 2
MENU_RECOMMEND = "recommend"
RECOMMENDED = 3
# The mini-program page that opens a course.
COURSE_PATH = "pages/course/detail?id={id}"
_LONGEST_TITLE = 40
_LONGEST_REASON = 60
_RECOMMEND = re.compile(r"(请|给我|帮我)?(推荐|课程推荐|荐课|recommend)")
_UNSUBSCRIBE = {"退订", "td", "unsubscribe"}
_NOISE = re.compile(r"[\s,.!?;:，。！？；：~～“”\"'【】]+")
_MARKUP = str.maketrans({"<": "＜", ">": "＞", '"': "”"})


class Intent(enum.Enum):
    RECOMMEND = "recommend"
    STOP_MARKETING = "stop_marketing"
    OTHER = "other"


@dataclass(frozen=True)
class Suggestion:
    """A course with the sentence that says why it is named."""

    course_id: int
    title: str
    reason: str


def intent_of(text: str) -> Intent:
    """What a text asks for: "推荐", "推荐课程", "recommend", "退订", or something else."""
    plain = _NOISE.sub("", text).lower()
    if _RECOMMEND.match(plain):
        return Intent.RECOMMEND
    return Intent.STOP_MARKETING if plain in _UNSUBSCRIBE else Intent.OTHER


def scene_of(event: str, event_key: str) -> str:
    """The entry channel of a subscribe or SCAN event; "" without one (C5)."""
    if event.lower() == "subscribe":
        return event_key.removeprefix("qrscene_") if event_key.startswith("qrscene_") else ""
    return event_key if event.lower() == "scan" else ""


def welcome_text() -> str:
    return _("欢迎关注！这里有系统的付费课程，也有免费试听。\n\n") + keywords_text()


def help_text() -> str:
    return _("暂时没有读懂您的消息。\n\n") + keywords_text()


def keywords_text() -> str:
    return _("回复“推荐”：为您挑选三门课程\n回复“退订”：不再接收营销消息")


def stopped_text() -> str:
    return _("已为您关闭营销消息，订单与学习通知不受影响。")


def recommend_text(items: Sequence[Suggestion], *, mp_appid: str, home_url: str) -> str:
    """The numbered courses with reasons; titles open the mini-program where one is configured."""
    if not items:
        return _("课程正在准备中，请过几天再来看看。")
    blocks = [_("为您推荐：")]
    for number, item in enumerate(items, start=1):
        title = _linked(item, mp_appid, home_url)
        reason = _("推荐理由：%(reason)s") % {"reason": _plain(item.reason, _LONGEST_REASON)}
        blocks.append(f"{number}. {title}\n{reason}")
    return "\n\n".join(blocks)


def _linked(item: Suggestion, mp_appid: str, home_url: str) -> str:
    title = _plain(item.title, _LONGEST_TITLE)
    if not mp_appid:
        return title
    path = COURSE_PATH.format(id=item.course_id)
    return (
        f'<a data-miniprogram-appid="{mp_appid}" data-miniprogram-path="{path}" '
        f'href="{home_url}">{title}</a>'
    )


def _plain(text: str, longest: int) -> str:
    """`text` that stands inside a link, cut to `longest` characters."""
    text = text.translate(_MARKUP)
    return text if len(text) <= longest else text[: longest - 1] + "…"
