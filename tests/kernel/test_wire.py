import json

import pytest

from kernel.api.pages import decode_cursor, encode_cursor
from kernel.crypto import Undecryptable, decrypt, encrypt
from kernel.errors import BodyTooLarge, InvalidInput
from kernel.wire.codecs import loads_object
from kpay_site.logs import redact


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'"text"',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"a": 9223372036854775808}',
        b'{"a": 1e999}',
        b'{"a": NaN}',
        b"\xff\xfe",
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_json_that_can_not_be_kept_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        loads_object(raw)


def test_plain_json_is_read_as_the_standard_library_reads_it() -> None:
    raw = '{"名": ["a", 1, 2.5, null, true], "n": -9223372036854775807}'.encode()
    assert loads_object(raw) == json.loads(raw)


@pytest.mark.django_db
def test_a_body_over_the_limit_is_not_parsed(api_for) -> None:
    reply = api_for().post(
        "/api/v1/auth/wechat/login", data=b"{" + b" " * 600_000, content_type="application/json"
    )
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == BodyTooLarge.code


@pytest.mark.parametrize("text", ["%%%", "a", "é", "W10", "bnVsbA", "x" * 2000])
def test_a_broken_cursor_is_a_clients_mistake(text: str) -> None:
    if text == "W10":  # "[]": well formed, but of no page
        assert decode_cursor(text) == []
    else:
        with pytest.raises(InvalidInput):
            decode_cursor(text)


def test_cursors_go_there_and_back() -> None:
    assert decode_cursor(encode_cursor([3, "中文", 1.5])) == [3, "中文", 1.5]


def test_an_encrypted_column_opens_only_in_its_own_context() -> None:
    sealed = encrypt("session", context="identity:1")

    assert "session" not in sealed
    assert decrypt(sealed, context="identity:1") == "session"
    with pytest.raises(Undecryptable):
        decrypt(sealed, context="identity:2")
    assert encrypt("session", context="identity:1") != sealed


def test_logs_lose_openids_phones_and_tokens() -> None:
    line = "user oABCDEFGHIJKLMNOPQRSTUVWX123 phone 13812345678 access_token=abcdefghijklmnop1234"
    assert redact(line) == "user o*** phone 1********** access_token=***"
