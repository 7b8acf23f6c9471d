"""Login against the sandbox: codes, identities, races."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from django.db import connection, connections

from accounts import flows, services
from accounts.models import Identity, TokenFamily, User
from accounts.selectors import appid_of, session_key_context
from kernel.crypto import decrypt

LOGIN = "/api/v1/auth/wechat/login"


def login(api_for, code):
    return api_for().post(LOGIN, {"code": code})


@pytest.mark.django_db
def test_a_first_login_makes_a_user_and_the_next_one_finds_it(sandbox, api_for):
    person = sandbox.user()

    first = login(api_for, sandbox.login_code(person["openid"]))
    second = login(api_for, sandbox.login_code(person["openid"]))

    assert first.status_code == 200, first.content
    body = first.json()
    assert set(body) == {"access", "refresh", "expires_in", "user"}
    assert body["expires_in"] == 7200
    assert body["user"]["is_new"] is True
    assert isinstance(body["user"]["id"], str)
    assert second.json()["user"] == {**body["user"], "is_new": False}
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_code_is_good_once(sandbox, api_for):
    code = sandbox.login_code(sandbox.user()["openid"])
    login(api_for, code)

    again = login(api_for, code)

    assert again.status_code == 400
    assert again.json()["error"]["code"] == "wechat_code_used"
    assert TokenFamily.objects.count() == 1


@pytest.mark.django_db
def test_an_unknown_code_is_refused_in_chinese(sandbox, api_for):
    answer = login(api_for, "not-a-code")

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "wechat_code_invalid"
    assert "登录凭证" in error["message"]
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", [{}, {"code": ""}, {"code": "x" * 257}, {"code": {"a": 1}}, {"code": None}]
)
def test_a_login_without_a_usable_code_never_reaches_the_platform(sandbox, api_for, body):
    before = sandbox.last_call()

    answer = api_for().post(LOGIN, body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_input"
    assert list(answer.json()["error"]["detail"]) == ["code"]
    assert sandbox.calls("/sns", since=before) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("errcode", "status", "code"),
    [(40226, 403, "login_blocked"), (-1, 503, "wechat_unavailable")],
)
def test_what_the_platform_says_decides_the_answer(sandbox, api_for, errcode, status, code):
    wx_code = sandbox.login_code(sandbox.user()["openid"])
    sandbox.fault(f"errcode:{errcode}", on="api", path="/sns/jscode2session")

    answer = login(api_for, wx_code)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_platform_that_is_away_is_a_503_with_retry_after(sandbox, api_for):
    wx_code = sandbox.login_code(sandbox.user()["openid"])
    sandbox.fault("http_500", on="api", path="/sns/jscode2session")

    answer = login(api_for, wx_code)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_logins_are_limited_by_address(sandbox, api_for, settings):
    settings.KPAY = replace(settings.KPAY, rate_limits=True, login_per_minute=2)
    answers = [api_for().post(LOGIN, {"code": ""}) for _ in range(3)]

    assert [a.status_code for a in answers] == [400, 400, 429]
    assert answers[2].json()["error"]["code"] == "too_many_requests"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


@pytest.mark.django_db
def test_the_session_key_lies_encrypted_in_the_database(sandbox, api_for):
    person = sandbox.user()
    login(api_for, sandbox.login_code(person["openid"]))

    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(i)::text FROM accounts_identity i")
        (row,) = cursor.fetchone()

    identity = Identity.objects.get()
    opened = decrypt(identity.session_key_encrypted, context=session_key_context(identity))
    assert len(opened) == 24
    assert opened not in row
    assert person["session_key"] not in row


@pytest.mark.django_db
def test_a_blocked_user_cannot_log_in(sandbox, api_for):
    person = sandbox.user()
    login(api_for, sandbox.login_code(person["openid"]))
    User.objects.update(is_active=False)

    answer = login(api_for, sandbox.login_code(person["openid"]))

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "user_blocked"
    assert TokenFamily.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_first_logins_of_one_person_at_once_make_one_user(sandbox):
    person = sandbox.user()
    codes = [sandbox.login_code(person["openid"]) for _ in range(8)]
    together = Barrier(8)

    def run(code):
        try:
            together.wait(timeout=10)
            return flows.wechat_login(code=code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(run, codes))

    assert User.objects.count() == 1
    assert Identity.objects.count() == 1
    assert sorted(d.is_new for d in done) == [False] * 7 + [True]
    assert TokenFamily.objects.count() == 8


@pytest.mark.django_db
def test_a_follower_and_a_mini_program_user_with_one_unionid_are_one_person(sandbox, api_for):
    person = sandbox.user(follows_oa=True)
    services.follower_seen(openid=person["oa_openid"], created_at=1_700_000_000, followed=True)
    services.identity_joined(openid=person["oa_openid"], unionid=person["unionid"])
    assert Identity.objects.get().user is None

    login(api_for, sandbox.login_code(person["openid"]))

    user = User.objects.get()
    assert set(user.identities.values_list("app", "openid")) == {
        ("mp", person["openid"]),
        ("oa", person["oa_openid"]),
    }


@pytest.mark.django_db
def test_a_mini_program_user_who_follows_later_is_found_by_unionid(sandbox, api_for):
    person = sandbox.user(follows_oa=True)
    login(api_for, sandbox.login_code(person["openid"]))
    services.follower_seen(openid=person["oa_openid"], created_at=1_700_000_000, followed=True)

    joined = services.identity_joined(openid=person["oa_openid"], unionid=person["unionid"])

    assert joined == User.objects.get()
    assert Identity.objects.get(app="oa").user == joined


@pytest.mark.django_db(transaction=True)
def test_joining_and_logging_in_at_once_never_leave_two_people(sandbox):
    for number in range(5):
        person = sandbox.user(follows_oa=True)
        services.follower_seen(openid=person["oa_openid"], created_at=1_700_000_000)
        code = sandbox.login_code(person["openid"])
        together = Barrier(2)

        def log_in(code=code, together=together):
            try:
                together.wait(timeout=10)
                flows.wechat_login(code=code)
            finally:
                connections.close_all()

        def join(person=person, together=together):
            try:
                together.wait(timeout=10)
                services.identity_joined(openid=person["oa_openid"], unionid=person["unionid"])
            finally:
                connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            for task in [pool.submit(log_in), pool.submit(join)]:
                task.result(timeout=20)
        assert User.objects.count() == number + 1
        assert not Identity.objects.filter(user=None).exists()


@pytest.mark.django_db
def test_a_phone_number_is_bound_and_lies_encrypted(sandbox, api_for):
    person = sandbox.user()
    tokens = login(api_for, sandbox.login_code(person["openid"])).json()
    api = api_for()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")

    bound = api.post("/api/v1/me/phone", {"code": sandbox.phone_code(person["openid"])})

    assert bound.status_code == 200, bound.content
    user = User.objects.get()
    number = decrypt(user.phone_encrypted, context=f"accounts.phone:{user.pk}")
    assert number.isdigit()
    assert number not in user.phone_encrypted
    assert bound.json()["phone"] == f"{number[:3]}****{number[-4:]}"
    assert api.get("/api/v1/me").json()["has_phone"] is True


@pytest.mark.django_db
def test_a_login_code_is_no_phone_code(sandbox, api_for, learner):
    person = sandbox.user()
    api = api_for(learner())

    answer = api.post("/api/v1/me/phone", {"code": sandbox.login_code(person["openid"])})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "wechat_code_invalid"


def test_the_appid_of_the_identity_is_the_configured_one(settings):
    assert appid_of("mp") == settings.KPAY.wechat.mp_appid
    assert appid_of("oa") == settings.KPAY.wechat.oa_appid
