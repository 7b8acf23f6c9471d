"""One learner's journey over HTTP, as a mini-program would make it. Every step is checked."""

import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import requests

from devstack.stack import Stack, manage

TIMEOUT = 15
FIRST = 10
DEAR_FEN = 5000  # dear enough for a coupon with a floor


class StepFailed(RuntimeError):
    """A step of the journey did not hold; the message says which and why."""


class Journey:
    """Login → feed → three ratings → changed feed → trial → purchase → points → offers → 推荐."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = requests.Session()
        self.mark = 0
        self.token = ""

    def walk(self) -> None:
        """Run all steps; raises `StepFailed` at the first that does not hold."""
        self.login()
        before = self.feed_before()
        self.rate_three(before)
        self.feed_after(before)
        course = self.pick_course(before)
        self.open_trial(course)
        coupon, points = self.earn_first(course)
        self.buy(course, coupon, points)
        self.finish_lesson(course)
        self.points_and_offers()
        self.official_account()
        self.audit()

    # -- talking --------------------------------------------------------------

    def call(
        self, method: str, path: str, body: Any = None, *, expect: int = 200, key: bool = False
    ) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex} if key else {}
        reply = self.http.request(
            method, f"{self.stack.web}/api/v1{path}", json=body, headers=headers, timeout=TIMEOUT
        )
        if reply.status_code != expect:
            raise StepFailed(
                f"{method} {path}: {reply.status_code} instead of {expect}: {reply.text[:300]}"
            )
        return reply.json() if reply.content else None

    def platform(self, method: str, path: str, body: Any = None) -> Any:
        """The sandbox's control API: what the person does inside WeChat."""
        reply = requests.request(
            method, f"{self.stack.sandbox}/_sandbox{path}", json=body or {}, timeout=TIMEOUT
        )
        if not reply.ok:
            raise StepFailed(f"sandbox {path}: {reply.status_code} {reply.text[:300]}")
        return reply.json()

    def step(self, title: str, *lines: str) -> None:
        self.mark += 1
        print(f"\n{self.mark:>2}. {title}", flush=True)
        for line in lines:
            print(f"    {line}", flush=True)

    def check(self, holds: bool, why: str) -> None:
        if not holds:
            raise StepFailed(f"step {self.mark + 1}: {why}")

    def until(self, what: str, done: Callable[[], Any], seconds: float = 20) -> Any:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            value = done()
            if value:
                return value
            time.sleep(0.1)
        raise StepFailed(f"{what} did not happen within {seconds:.0f} s")

    # -- steps ----------------------------------------------------------------

    def login(self) -> None:
        self.person = self.platform("POST", "/users", {"follows_oa": True})
        code = self.platform("POST", f"/users/{self.person['openid']}/login")["code"]
        session = self.call("POST", "/auth/wechat/login", {"code": code})
        self.check(session["user"]["is_new"], "a new WeChat user must become a new learner")
        self.token = str(session["access"])
        self.http.headers["Authorization"] = f"Bearer {self.token}"
        self.step(
            "微信登录 / login by code2session",
            f"learner {session['user']['id']} · {session['user']['nickname']}",
        )

    def feed(self, limit: int = 20) -> dict[str, Any]:
        reply: dict[str, Any] = self.call("GET", f"/feed?surface=home&limit={limit}")
        return reply

    def saw(self, feed: dict[str, Any], clicked: list[str]) -> None:
        """What the mini-program reports about a list: every card shown, some of them opened."""
        at = datetime.now(UTC).isoformat()
        events = [
            {
                "client_event_id": uuid.uuid4().hex,
                "type": kind,
                "course_id": item["course"]["id"],
                "request_id": feed["request_id"],
                "position": item["position"],
                "occurred_at": at,
            }
            for item in feed["items"]
            for kind in ("impression", "click")
            if kind == "impression" or item["course"]["id"] in clicked
        ]
        told = self.call("POST", "/events", {"events": events}, expect=202)
        self.check(told["accepted"] == len(events), f"events were refused: {told['rejected']}")

    def show(self, feed: dict[str, Any], count: int = FIRST) -> list[str]:
        return [
            f"{n:>2} {'★' if rated_title(item) else '●'} 《{item['course']['title']}》"
            f" — {item['reason']['text']}"
            for n, item in enumerate(feed["items"][:count], 1)
        ]

    def feed_before(self) -> dict[str, Any]:
        feed = self.feed()
        items = feed["items"]
        self.check(len(items) >= FIRST, f"the first feed holds {len(items)} items")
        kinds = {rated_title(item) for item in items}
        self.check(kinds == {True, False}, "sample courses and rated titles must be mixed")
        self.step(
            f"首页推荐（模型 {feed['model']['name']} {feed['model']['version']}） / first feed",
            "● 示例课程 sample course   ★ 真实评分的片目 rated title",
            *self.show(feed, len(items)),
        )
        return feed

    def rate_three(self, feed: dict[str, Any]) -> None:
        """Two rated titles and a sample course, so that both kinds of taste are told."""
        titles = [item for item in feed["items"] if rated_title(item)][:2]
        courses = [item for item in feed["items"] if not rated_title(item)]
        chosen = titles + courses[: 3 - len(titles)]
        for item in chosen:
            self.call("PUT", f"/courses/{item['course']['id']}/rating", {"stars": 5})
        self.rated = [item["course"]["id"] for item in chosen]
        self.saw(feed, self.rated)
        self.step(
            "给三个条目打 5 星 / three ratings",
            *(f"★★★★★ 《{item['course']['title']}》" for item in chosen),
        )

    def feed_after(self, before: dict[str, Any]) -> None:
        began = time.monotonic()
        after = self.feed()
        waited = time.monotonic() - began
        old = {item["course"]["id"] for item in before["items"][:FIRST]}
        fresh = [item for item in after["items"][:FIRST] if item["course"]["id"] not in old]
        self.check(
            2 * len(fresh) >= FIRST, f"only {len(fresh)} of the first {FIRST} differ after ratings"
        )
        self.saw(after, [])
        because = [item for item in after["items"] if item["reason"]["because"]]
        self.check(bool(because), "no item names the ratings as its reason")
        self.step(
            f"推荐随即改变：前 10 中 {len(fresh)} 个不同 / feed changed"
            f"（{waited * 1000:.0f} ms，无需训练）",
            *self.show(after),
        )

    def pick_course(self, feed: dict[str, Any]) -> dict[str, Any]:
        """A paid sample course: of the feed if there is one that suits, else of the catalogue."""
        cards = [item["course"] for item in feed["items"] if not rated_title(item)]
        cards += self.call("GET", "/courses?sort=hot&limit=50")["items"]
        for card in cards:
            dear = (card["price_fen"] or 0) >= DEAR_FEN
            if dear and not is_rated_creator(card) and card["id"] not in self.rated:
                detail: dict[str, Any] = self.call("GET", f"/courses/{card['id']}")
                if any(not lesson["is_trial"] for lesson in detail["lessons"]):
                    return detail
        raise StepFailed("no paid sample course with a trial lesson was found")

    def open_trial(self, course: dict[str, Any]) -> None:
        trial = next(lesson for lesson in course["lessons"] if lesson["is_trial"])
        paid = next(lesson for lesson in course["lessons"] if not lesson["is_trial"])
        opened = self.call("GET", f"/lessons/{trial['id']}")
        refused = self.call("GET", f"/lessons/{paid['id']}", expect=403)["error"]
        self.check(refused["code"] == "access_required", "a paid lesson must ask for access")
        text = str(opened.get("content") or opened.get("media_url"))
        self.step(
            f"试学 《{course['title']}》 / trial lesson",
            f"试学课「{trial['title']}」可打开（{len(text)} 字）",
            f"付费课「{paid['title']}」→ 403 {refused['code']}：{refused['message']}",
        )

    def earn_first(self, course: dict[str, Any]) -> tuple[str, int]:
        """The first offered coupon that fits the course's price; points from the check-in."""
        offers = self.call("GET", "/offers")["items"]
        coupon = None
        for offer in offers:
            if offer["kind"] == "coupon":
                template = str(offer["id"]).split(":")[-1]
                coupon = self.call("POST", "/coupons/claim", {"template_id": template}, expect=201)
                if coupon["min_fen"] <= course["price_fen"]:
                    break
        if coupon is None or coupon["min_fen"] > course["price_fen"]:
            raise StepFailed("no offered coupon fits the course's price")
        self.call("POST", "/points/check-in")
        balance = self.call("GET", "/points")["balance"]
        self.check(balance > 0, "check-in must earn points")
        self.step(
            "领券与签到 / a coupon and points",
            f"优惠券「{coupon['title']}」减 {yuan(coupon['discount_fen'])} 元",
            f"签到后积分余额 {balance}",
        )
        return coupon["id"], balance

    def buy(self, course: dict[str, Any], coupon: str, points: int) -> None:
        product = course["products"][0]
        quote = self.call(
            "POST",
            "/quote",
            {
                "items": [{"product_id": product["id"], "quantity": 1}],
                "coupon_id": coupon,
                "points": points,
                "platform": "android",
            },
        )
        steps = [
            f"{step['text']}：{yuan(step['amount_fen'])} 元"
            for line in quote["lines"]
            for step in line["steps"]
        ]
        self.step("算价 / the quote, explained", *steps, f"应付 {yuan(quote['payable_fen'])} 元")
        order = self.call("POST", "/orders", {"quote_id": quote["quote_id"]}, expect=201, key=True)
        paying = self.call("POST", f"/orders/{order['no']}/pay", {"channel": "jsapi"}, key=True)
        self.check(order["payable_fen"] == quote["payable_fen"], "an order charges its quote")
        self.platform("POST", f"/payments/{paying['out_trade_no']}", {"outcome": "success"})
        paid = self.until(
            "the payment's notify",
            lambda: (lambda o: o if o["status"] == "paid" else None)(
                self.call("GET", f"/orders/{order['no']}")
            ),
        )
        lesson = next(lesson for lesson in course["lessons"] if not lesson["is_trial"])
        self.call("GET", f"/lessons/{lesson['id']}")
        self.step(
            "下单 → 微信支付 → 通知 → 开课 / order, payment, notify, access",
            f"订单 {order['no']}  优惠 {yuan(paid['discount_fen'])} 元  积分 {paid['points_used']}",
            f"支付单 {paying['out_trade_no']}  状态 {paid['status']}  支付时间 {paid['paid_at']}",
            f"付费课「{lesson['title']}」已可打开",
        )
        feed = self.feed(50)
        self.check(
            course["id"] not in {item["course"]["id"] for item in feed["items"]},
            "a bought course must leave the feed",
        )

    def finish_lesson(self, course: dict[str, Any]) -> None:
        """Read a lesson to its end as the player does: heartbeats no faster than the clock."""
        lessons = [lesson for lesson in course["lessons"] if not lesson["is_trial"]]
        lesson = min(lessons, key=lambda one: one["duration_seconds"] or 0)
        self.call("GET", f"/lessons/{lesson['id']}")
        length = lesson["duration_seconds"] or 30
        session, reached, seq, state = uuid.uuid4().hex, 0.0, 0, {"finished": False}
        limit = time.monotonic() + 240
        while not state["finished"] and time.monotonic() < limit:
            seq += 1
            until = min(float(length), reached + (15 if seq == 1 else 9))
            state = self.call(
                "POST",
                f"/lessons/{lesson['id']}/progress",
                {
                    "session_id": session,
                    "seq": seq,
                    "intervals": [[reached, until]],
                    "rate": 3,
                    "position_seconds": until,
                },
            )
            reached = until if until < length else 0.0
            if not state["finished"]:
                time.sleep(3)
        self.check(state["finished"], f"the lesson is not finished: {state}")
        self.step(
            f"学完「{lesson['title']}」 / lesson finished",
            f"已看 {state['watched_seconds']} 秒，{state['percent']}%",
        )

    def points_and_offers(self) -> None:
        def entries() -> Any:
            found = self.call("GET", "/points/entries")["items"]
            return found if {"earn", "spend"} <= {e["kind"] for e in found} and any(
                "lesson" in str(e.get("ref", "")) or "学" in e["text"] for e in found
            ) else None  # fmt: skip

        found = self.until("the points of the finished lesson", entries)
        balance = self.call("GET", "/points")["balance"]
        self.step(
            f"积分流水，余额 {balance} / points",
            *(f"{entry['delta']:+d}  {entry['text']}" for entry in found),
        )
        offers = self.call("GET", "/offers")["items"]
        self.check(bool(offers), "no offers")
        self.step(
            "为你准备的优惠 / offers",
            *(f"{offer['title']} — {offer['rule_text']}" for offer in offers[:5]),
        )

    def official_account(self) -> None:
        """Follow (the accounts are joined by unionid in the worker), then ask for 推荐."""
        follow = {"account": "oa", "openid": self.person["oa_openid"]}
        welcome = self.platform(
            "POST", "/messages", {**follow, "type": "event", "event": "subscribe"}
        )
        self.check(welcome["status"] == 200, f"subscribe was answered {welcome}")

        def personal() -> str | None:
            ask = {**follow, "type": "text", "content": "推荐"}
            answer = self.platform("POST", "/messages", ask)
            body = str(answer["body"])
            named = len(re.findall(r"^\d\. ", body, flags=re.M))
            self.check(answer["status"] == 200 and named == 3, f"推荐 was answered {answer}")
            return body if "因为" in body else None

        body = self.until("a personal answer to 推荐", personal)
        self.step("公众号回复「推荐」 / the official account answers", *body_lines(body))

    def audit(self) -> None:
        manage(self.stack.env, "audit", "--json", quiet=True)
        self.step("核对：全部不变量成立 / audit: every invariant holds")


def is_rated_creator(card: dict[str, Any]) -> bool:
    return str(card["creator"]["nickname"]).startswith("dataset:")


def rated_title(item: dict[str, Any]) -> bool:
    """The item comes from the ratings' data set, not from the sample catalogue."""
    return is_rated_creator(item["course"])


def yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def body_lines(body: str) -> list[str]:
    """The lines of a text reply, without the XML around them."""
    start = body.find("<Content>")
    text = body[start + 9 : body.find("</Content>")] if start >= 0 else body
    text = text.removeprefix("<![CDATA[").removesuffix("]]>")
    plain = re.sub(r"<[^>]+>", "", text)  # links to pages of the mini-program
    return [line for line in plain.splitlines() if line.strip()]
