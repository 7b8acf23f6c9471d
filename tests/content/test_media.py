"""Play tickets and covers over HTTP."""

import base64
from pathlib import Path

import pytest

from content import tickets
from content.errors import TicketExpired, TicketForged
from content.models import Lesson
from payments.services import entitlement_grant, entitlement_revoke
from tests import ports
from tests.content.shop import make_course

BODY = bytes(range(256)) * 4


@pytest.fixture
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    (tmp_path / "secret.mp3").write_bytes(b"secret")
    (settings.MEDIA_ROOT / "one.mp3").write_bytes(BODY)
    return settings.MEDIA_ROOT


@pytest.fixture
def clock_at():
    def move(seconds: int) -> None:
        ports.CLOCK_FILE.write_text(str(seconds), encoding="ascii")

    yield move
    ports.CLOCK_FILE.unlink(missing_ok=True)


@pytest.fixture
def playable(learner, api_for, media):
    """(path of the signed address, user, course)."""
    user = learner()
    course = make_course()
    Lesson.objects.filter(course=course).update(media_key="one.mp3")
    entitlement_grant(
        user_id=user.pk, scope=course.scope, source="operator", source_ref="1", reason="补发"
    )
    lesson = course.lessons.last()
    reply = api_for(user).get(f"/api/v1/lessons/{lesson.pk}").json()
    return "/media/play/" + reply["media_url"].rsplit("/", 1)[1], user, course


def body(reply) -> bytes:
    return b"".join(reply.streaming_content)


def test_a_ticket_names_its_user_lesson_and_end():
    text, ticket = tickets.issue(secret="s", user_id=7, lesson_id=9, expires_at=1000)

    read = tickets.read(text, secret="s", now=999)

    assert read == ticket
    assert (read.user_id, read.lesson_id, read.expires_at, len(read.id)) == (7, 9, 1000, 16)
    with pytest.raises(TicketExpired):
        tickets.read(text, secret="s", now=1000)


def test_no_changed_character_makes_another_valid_ticket():
    text, _ticket = tickets.issue(secret="s", user_id=7, lesson_id=9, expires_at=1000)
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        with pytest.raises(TicketForged):
            tickets.read(text[:place] + other + text[place + 1 :], secret="s", now=1)


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.é", "A" * 5000, "A" * 43 + "." + "A" * 43])
def test_nonsense_is_a_forged_ticket(text):
    with pytest.raises(TicketForged):
        tickets.read(text, secret="s", now=1)


def test_the_user_of_the_ticket_gets_the_file(playable, client):
    path, _user, _course = playable

    reply = client.get(path)

    assert (reply.status_code, reply["Content-Type"], body(reply)) == (200, "audio/mpeg", BODY)
    assert reply["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("header", "status", "expected", "content_range"),
    [
        ("bytes=0-9", 206, BODY[:10], "bytes 0-9/1024"),
        ("bytes=1000-", 206, BODY[1000:], "bytes 1000-1023/1024"),
        ("bytes=-24", 206, BODY[1000:], "bytes 1000-1023/1024"),
        ("bytes=1000-9999", 206, BODY[1000:], "bytes 1000-1023/1024"),
        ("bytes=0-1,5-6", 200, BODY, None),
        ("lines=1-2", 200, BODY, None),
    ],
)
def test_players_may_ask_for_a_part(playable, client, header, status, expected, content_range):
    reply = client.get(playable[0], headers={"Range": header})

    assert (reply.status_code, body(reply)) == (status, expected)
    assert reply.headers.get("Content-Range") == content_range


@pytest.mark.parametrize("header", ["bytes=1024-", "bytes=9-3", "bytes=-0"])
def test_a_part_outside_the_file_is_refused(playable, client, header):
    assert client.get(playable[0], headers={"Range": header}).status_code == 416


def test_a_forged_ticket_is_403_and_an_old_one_410_in_the_one_error_shape(
    playable, client, clock_at
):
    path = playable[0]
    forged = client.get(path[:-1] + ("A" if path[-1] != "A" else "B"))
    clock_at(597)  # a second more or less: the ticket ends on a whole second
    good = client.get(path).status_code
    clock_at(601)
    expired = client.get(path)

    assert (forged.status_code, forged.json()["error"]["code"]) == (403, "ticket_invalid")
    assert good == 200
    assert (expired.status_code, expired.json()["error"]["code"]) == (410, "ticket_expired")


def test_a_ticket_dies_with_the_access_or_the_account(playable, client):
    path, user, _course = playable
    entitlement_revoke(source="operator", source_ref="1")
    assert client.get(path).json()["error"]["code"] == "access_required"

    user.is_active = False
    user.save()
    assert client.get(path).json()["error"]["code"] == "ticket_invalid"


@pytest.mark.parametrize("key", ["", "none.mp3", "../secret.mp3", "/etc/passwd", "."])
def test_missing_files_and_ways_out_of_the_folder_are_404(playable, client, key):
    path, _user, course = playable
    Lesson.objects.filter(course=course).update(media_key=key)

    reply = client.get(path)

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "media_missing")


def test_a_ticket_can_be_read_back_to_its_user(playable):
    path, user, _course = playable
    payload = path.rsplit("/", 1)[1].split(".")[0]

    raw = base64.urlsafe_b64decode(payload + "==")

    assert int.from_bytes(raw[8:16], "big") == user.pk


def test_a_cover_is_drawn_cached_and_safe(db, client):
    course = make_course("<script>alert(1)</script>复盘")

    reply = client.get(f"/media/covers/{course.pk}.svg")
    again = client.get(f"/media/covers/{course.pk}.svg", headers={"If-None-Match": reply["ETag"]})

    assert reply["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert "max-age=3600" in reply["Cache-Control"]
    assert b"<script" not in reply.content
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/media/covers/0.svg").status_code == 404


def test_a_draft_has_no_public_cover(db, client):
    course = make_course(status="draft")

    assert client.get(f"/media/covers/{course.pk}.svg").status_code == 404
