"""Profile, preferences, names, roles."""

import pytest
from django.contrib.auth.models import Group
from hypothesis import given
from hypothesis import strategies as st

from accounts import roles, rules
from accounts.models import User

ME = "/api/v1/me"
SWITCHES = "/api/v1/me/preferences"


@pytest.mark.django_db
def test_a_patch_changes_what_it_names_and_nothing_else(learner, api_for):
    api = api_for(learner(nickname="小明", occupation="教师"))

    answer = api.patch(ME, {"birth_year": 1990, "interests": ["music", "music", "ai"]})

    assert answer.status_code == 200
    assert answer.json() == api.get(ME).json()
    assert {k: v for k, v in answer.json().items() if k != "id"} == {
        "nickname": "小明",
        "avatar_url": "",
        "birth_year": 1990,
        "occupation": "教师",
        "interests": ["music", "ai"],
        "has_phone": False,
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    "field",
    [
        {"nickname": " \u202e "},
        {"nickname": "字" * 33},
        {"nickname": "a\x00b"},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "http://example.com/a.png"},
        {"avatar_url": "https://u:p@example.com/a.png"},
        {"avatar_url": "https://["},
        {"birth_year": 1800},
        {"birth_year": 2**63},
        {"birth_year": "abc"},
        {"interests": ["../x"]},
        {"interests": ["a"] * 21},
        {"interests": "music"},
    ],
)
def test_a_bad_field_is_named_and_nothing_is_stored(learner, api_for, field):
    api = api_for(learner(nickname="小明"))
    before = api.get(ME).json()

    answer = api.patch(ME, {"occupation": "医生", **field})

    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["code"] == "invalid_input"
    assert api.get(ME).json() == before


@pytest.mark.django_db
def test_a_preference_holds_at_once_and_others_stay(learner, api_for):
    user = learner()
    api = api_for(user)

    answer = api.put(SWITCHES, {"personalised_feed": False})

    expected = {"personalised_feed": False, "personalised_offers": True, "marketing_messages": True}
    assert answer.json() == api.get(SWITCHES).json() == expected
    user.refresh_from_db()
    assert user.personalised_feed is False


@pytest.mark.django_db
def test_a_switch_must_be_a_boolean(learner, api_for):
    answer = api_for(learner()).put(SWITCHES, {"marketing_messages": "perhaps"})

    assert answer.status_code == 400
    assert list(answer.json()["error"]["detail"]) == ["marketing_messages"]


@pytest.mark.django_db
def test_a_nickname_passes_content_security_before_it_is_shown(sandbox, api_for):
    sandbox.settings(risky_words=["赌博"])
    person = sandbox.user()
    tokens = api_for().post(
        "/api/v1/auth/wechat/login", {"code": sandbox.login_code(person["openid"])}
    )
    api = api_for()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.json()['access']}")

    refused = api.patch(ME, {"nickname": "赌博大师"})
    taken = api.patch(ME, {"nickname": "读书 <b>大师</b>"})

    assert refused.status_code == 400
    assert list(refused.json()["error"]["detail"]) == ["nickname"]
    assert taken.json()["nickname"] == "读书 b大师/b"


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("  小 \t 明\n", "小 明"),
        ("a\u202eb\u200bc", "abc"),
        ("👩\u200d🏫老师", "👩\u200d🏫老师"),
        ("z" + "\u0335" * 50, "z" + "\u0335" * 2),
        ("<script>", "script"),
    ],
)
def test_names_are_cleaned(given_name, kept):
    assert rules.clean_name(given_name) == kept


@given(st.text(max_size=60))
def test_cleaning_a_name_twice_changes_nothing_more(text):
    once = rules.clean_name(text)

    assert rules.clean_name(once) == once
    assert not any(c in once for c in "<>\n\r\t\x00\u202e")


@pytest.mark.parametrize(
    ("hops", "forwarded", "address"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (2, "1.1.1.1", "9.9.9.9"),
    ],
)
def test_only_our_own_proxies_are_believed(hops, forwarded, address):
    meta = {"REMOTE_ADDR": "9.9.9.9", "HTTP_X_FORWARDED_FOR": forwarded}

    assert rules.client_address(meta, hops) == address


@pytest.mark.django_db
def test_roles_hold_exactly_what_the_table_says():
    roles.sync()
    Group.objects.get(name="service").permissions.clear()

    roles.sync()

    assert set(Group.objects.values_list("name", flat=True)) >= set(roles.NAMES)

    service = User.objects.create_user("s", is_staff=True)
    service.groups.add(Group.objects.get(name="service"))
    assert service.has_perm("accounts.view_user")
    assert service.has_perm("accounts.view_identity")
    assert not service.has_perm("accounts.change_user")
    assert not service.has_perm("accounts.view_tokenfamily")
    owner = User.objects.create_user("o", is_staff=True)
    owner.groups.add(Group.objects.get(name="owner"))
    assert owner.has_perm("accounts.change_user")
    assert not owner.has_perm("accounts.delete_user")
