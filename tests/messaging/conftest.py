"""The product behind real HTTP, the shop of three courses, one person of both apps."""

import pytest

from accounts import flows
from content.services import course_save
from recommender.serving import catalogue

TITLES = ("零基础学理财", "高效会议二十讲", "写给忙人的摄影课")


@pytest.fixture
def account(sandbox, live_server):
    """The sandbox, able to push to the running product."""
    return sandbox


@pytest.fixture
def shop(transactional_db):
    catalogue.forget_all()
    courses = [
        course_save(key=f"m{n}", title=title, status="published").course
        for n, title in enumerate(TITLES)
    ]
    yield courses
    catalogue.forget_all()


@pytest.fixture
def person(account):
    """Signed in to the mini-program; follows the account as the platform knows it."""
    made = account.user(follows_oa=True)
    flows.wechat_login(code=account.login_code(made["openid"]))
    return made
