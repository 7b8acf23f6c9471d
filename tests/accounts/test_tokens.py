"""Token families: rotation, reuse, logout, expiry."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from accounts.models import AccessToken, RefreshToken, TokenFamily
from accounts.services import issue_tokens, tokens_purge, tokens_refresh, user_sessions_end
from kernel import clock
from kernel.errors import Unauthenticated
from kernel.ids import token_hash
from tests import ports

ME = "/api/v1/me"


def bearer(access):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return api


def refresh(token):
    return APIClient().post("/api/v1/auth/refresh", {"refresh": token})


@pytest.fixture
def moved_clock():
    yield lambda seconds: ports.CLOCK_FILE.write_text(str(seconds))
    ports.CLOCK_FILE.unlink(missing_ok=True)


@pytest.mark.django_db
def test_the_database_holds_hashes_alone(learner):
    pair = issue_tokens(learner())

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_to_json(a)::text || row_to_json(r)::text "
            "FROM accounts_accesstoken a, accounts_refreshtoken r"
        )
        (rows,) = cursor.fetchone()

    assert pair.access not in rows
    assert pair.refresh not in rows
    assert AccessToken.objects.get().hash == token_hash(pair.access)


@pytest.mark.django_db
def test_a_call_costs_one_select(learner, django_assert_num_queries):
    api = bearer(issue_tokens(learner()).access)

    with django_assert_num_queries(1):
        assert api.get(ME).status_code == 200


@pytest.mark.django_db
def test_refreshing_gives_a_new_pair_and_spends_the_old_one(learner):
    old = issue_tokens(learner())

    answer = refresh(old.refresh)

    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh", "expires_in"}
    assert answer.json()["refresh"] != old.refresh
    assert bearer(answer.json()["access"]).get(ME).status_code == 200
    assert TokenFamily.objects.count() == 1


@pytest.mark.django_db
def test_reuse_of_a_spent_refresh_token_ends_the_whole_family(learner):
    old = issue_tokens(learner())
    new = refresh(old.refresh).json()

    reused = refresh(old.refresh)

    assert reused.status_code == 401
    assert reused.json()["error"]["code"] == "refresh_token_reused"
    assert bearer(new["access"]).get(ME).status_code == 401
    assert refresh(new["refresh"]).json()["error"]["code"] == "refresh_token_invalid"
    assert TokenFamily.objects.get().end_reason == "reuse"


@pytest.mark.django_db
def test_another_login_of_the_same_user_survives_the_end_of_a_family(learner):
    user = learner()
    first, second = issue_tokens(user), issue_tokens(user)
    refresh(first.refresh)
    refresh(first.refresh)

    assert bearer(second.access).get(ME).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_eight_refreshes_at_once_one_wins_and_the_family_is_over(learner):
    pair = issue_tokens(learner())
    together = Barrier(8)

    def run(_):
        try:
            together.wait(timeout=10)
            return tokens_refresh(refresh=pair.refresh)
        except Unauthenticated as refused:
            return refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(run, range(8)))

    # A thread that starts after the family ended is told "invalid"; none other may win.
    assert sum(1 for d in done if hasattr(d, "access")) == 1
    assert RefreshToken.objects.count() == 2
    assert TokenFamily.objects.get().end_reason == "reuse"


@pytest.mark.django_db
def test_logout_ends_access_and_refresh_at_once(learner):
    pair = issue_tokens(learner())

    answer = bearer(pair.access).post("/api/v1/auth/logout", {})

    assert answer.status_code == 204
    assert bearer(pair.access).get(ME).json()["error"]["code"] == "token_invalid"
    assert refresh(pair.refresh).status_code == 401
    assert bearer(pair.access).post("/api/v1/auth/logout", {}).status_code == 204


@pytest.mark.django_db
def test_logout_by_refresh_token_kills_the_access_token(learner):
    pair = issue_tokens(learner())

    answer = APIClient().post("/api/v1/auth/logout", {"refresh": pair.refresh})

    assert answer.status_code == 204
    assert bearer(pair.access).get(ME).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize(("token", "code"), [("", "unauthenticated"), ("zz", "token_invalid")])
def test_logout_without_a_token_of_ours_is_a_401(token, code):
    api = bearer(token) if token else APIClient()

    answer = api.post("/api/v1/auth/logout", {})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "unauthenticated"),
        ("Basic abc", "unauthenticated"),
        ("Bearer", "token_invalid"),
        ("Bearer a b", "token_invalid"),
        ("Bearer nothing-we-made", "token_invalid"),
        ("Bearer " + "x" * 5000, "token_invalid"),
        ("Bearer \xff\xfe", "token_invalid"),
    ],
)
def test_a_wrong_token_is_a_401_in_chinese(header, code):
    api = APIClient()
    if header is not None:
        api.credentials(HTTP_AUTHORIZATION=header)

    answer = api.get(ME)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == code
    assert "登录" in answer.json()["error"]["message"]


@pytest.mark.django_db
def test_a_token_dies_after_its_time_and_the_refresh_token_lives_on(learner, moved_clock):
    before = clock.now()
    pair = issue_tokens(learner())
    lived = AccessToken.objects.get().expires_at - timedelta(seconds=7200)
    assert before <= lived <= clock.now()

    moved_clock(7200 - 120)  # the last second is in the row: requests may take longer
    assert bearer(pair.access).get(ME).status_code == 200
    moved_clock(7201)
    assert bearer(pair.access).get(ME).json()["error"]["code"] == "token_expired"
    assert refresh(pair.refresh).status_code == 200
    moved_clock(7201 + 30 * 86400 + 1)
    assert refresh(pair.refresh).json()["error"]["code"] == "refresh_token_invalid"


@pytest.mark.django_db
def test_a_blocked_user_is_out_with_the_next_request(learner):
    user = learner()
    pair = issue_tokens(user)
    user.is_active = False
    user.save(update_fields=["is_active"])

    assert bearer(pair.access).get(ME).status_code == 401
    assert refresh(pair.refresh).status_code == 401


@pytest.mark.django_db
def test_an_operator_ends_all_logins_of_a_user(learner):
    user = learner()
    pairs = [issue_tokens(user), issue_tokens(user)]

    assert user_sessions_end(user_id=user.pk) == 2

    assert [bearer(pair.access).get(ME).status_code for pair in pairs] == [401, 401]


@pytest.mark.django_db
def test_the_purge_keeps_what_may_still_be_used(learner):
    kept, gone = issue_tokens(learner()), issue_tokens(learner())
    old = clock.now() - timedelta(days=40)
    AccessToken.objects.filter(pk=token_hash(gone.access)).update(expires_at=old)
    RefreshToken.objects.filter(pk=token_hash(gone.refresh)).update(expires_at=old)
    TokenFamily.objects.filter(access_tokens=token_hash(gone.access)).update(created_at=old)

    assert tokens_purge() == 2

    assert TokenFamily.objects.count() == 1
    assert bearer(kept.access).get(ME).status_code == 200
