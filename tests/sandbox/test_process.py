"""The command: keys that stay, a clock file that both sides read, limits, a clean stop."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from wechat_sandbox.client import RunningSandbox, SandboxRefusedError, read_environment

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "wechat_sandbox", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_keys_are_written_once_private_and_kept_over_restarts(tmp_path):
    keys = tmp_path / "keys"

    first = run("--write-keys-only", "--keys", str(keys), "--port", "9123")
    before = read_environment(keys)
    second = run("--write-keys-only", "--keys", str(keys), "--port", "9124")
    after = read_environment(keys)

    assert (first.returncode, second.returncode) == (0, 0)
    assert before["KPAY_WECHAT_API_BASE"] == "http://127.0.0.1:9123"
    assert after["KPAY_WECHAT_PAY_BASE"] == "http://127.0.0.1:9124"
    moving = {"KPAY_WECHAT_API_BASE", "KPAY_WECHAT_PAY_BASE"}
    assert {n: v for n, v in before.items() if n not in moving} == {
        n: v for n, v in after.items() if n not in moving
    }
    private = [*keys.glob("*private_key.pem"), keys / "identity.json", keys / "sandbox.env"]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert len(before["KPAY_WECHAT_APIV3_KEY"]) == 32
    assert len(before["KPAY_WECHAT_OA_AES_KEY"]) == 43


def test_every_wechat_setting_of_the_product_is_given(env):
    accounts = [f"{a}_{f}" for a in ("MP", "OA") for f in ("APPID", "SECRET", "TOKEN", "AES_KEY")]
    merchant = [
        "API_BASE", "PAY_BASE", "MCHID", "MCH_SERIAL", "MCH_KEY_FILE", "APIV3_KEY", "APIV2_KEY",
        "PAY_PUBLIC_KEY_ID", "PAY_PUBLIC_KEY_FILE", "PAY_CERT_DIR",
    ]  # fmt: skip

    virtual = ["OFFER_ID", "APP_KEY", "APP_KEY_SANDBOX", "ENV"]
    assert set(env) == {f"KPAY_WECHAT_{name}" for name in accounts + merchant} | {
        f"KPAY_XPAY_{name}" for name in virtual
    }
    assert env["KPAY_XPAY_ENV"] == "0"
    assert env["KPAY_XPAY_APP_KEY"] != env["KPAY_XPAY_APP_KEY_SANDBOX"]


def test_a_keys_folder_of_before_virtual_payment_gets_its_credentials_added(tmp_path):
    keys = tmp_path / "keys"
    run("--write-keys-only", "--keys", str(keys), "--port", "9123")
    first = read_environment(keys)
    record = json.loads((keys / "identity.json").read_text())
    old = {name: value for name, value in record.items() if not name.startswith("xpay_")}
    (keys / "identity.json").write_text(json.dumps(old))

    run("--write-keys-only", "--keys", str(keys), "--port", "9123")
    second = read_environment(keys)
    run("--write-keys-only", "--keys", str(keys), "--port", "9123")

    assert second["KPAY_XPAY_OFFER_ID"] not in {"", first["KPAY_XPAY_OFFER_ID"]}
    assert second["KPAY_WECHAT_APIV3_KEY"] == first["KPAY_WECHAT_APIV3_KEY"]
    assert read_environment(keys) == second
    assert (keys / "identity.json").stat().st_mode & 0o777 == 0o600


def test_with_a_clock_file_both_clocks_move_together(tmp_path):
    clock = tmp_path / "clock"
    with RunningSandbox(tmp_path / "keys", clock_file=clock) as sandbox:
        sandbox.client.advance(3600)
        assert clock.read_text().strip() == "3600"
        clock.write_text("7200\n")
        moved = sandbox.client.call("GET", "/clock")
        assert moved["offset_seconds"] == 7200
        reply = requests.get(
            f"{sandbox.base_url}/v3/certificates", headers={"Connection": "close"}, timeout=5
        )
        signed_at = int(reply.headers["Wechatpay-Timestamp"])
        assert abs(signed_at - time.time() - 7200) < 5
        sandbox.client.reset()
        assert clock.read_text().strip() == "0"
        assert sandbox.stop() == 0


def test_without_one_signatures_carry_real_time(platform, running):
    platform.advance(3600)

    reply = requests.get(f"{running.base_url}/v3/certificates", timeout=5)

    assert abs(int(reply.headers["Wechatpay-Timestamp"]) - time.time()) < 5


def test_a_taken_port_is_explained_in_one_line(running, tmp_path):
    port = str(urlsplit(running.base_url).port)

    finished = run("--keys", str(tmp_path / "keys"), "--port", port)

    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1
    assert port in finished.stderr


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", b" 413 "),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n", b" 400 "),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b" 411 "),
        (b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", b" 400 "),
        (b"\x00\x01\x02 garbage\r\n\r\n", b" 400 "),
    ],
)
def test_garbage_is_refused_and_the_next_request_is_served(platform, running, raw, status):
    parts = urlsplit(running.base_url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(raw)
        assert status in connection.recv(4096)

    assert platform.state()["users"] == []


def test_bad_control_calls_are_refused_with_a_reason(platform, running):
    for call in [
        ("POST", "/users", {"platform": "toaster"}),
        ("POST", "/users", {"openid": 5}),
        ("POST", "/clock", {"now": "yesterday"}),
        ("POST", "/settings", {"signing": "nothing"}),
        ("POST", "/settings", {"unheard_of": 1}),
        ("POST", "/messages", {"account": "sms"}),
    ]:
        with pytest.raises(SandboxRefusedError, match="^400 invalid_"):
            platform.call(call[0], call[1], **call[2])
    with pytest.raises(SandboxRefusedError, match="404 no_such_user"):
        platform.login_code("nobody")
    with pytest.raises(SandboxRefusedError, match="501 not_offered"):
        platform.call("POST", "/transfers/T1", action="confirm")
    reply = requests.post(f"{running.base_url}/_sandbox/users", data=b"{", timeout=5)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_json")


def test_calls_are_listed_with_their_answers(platform, http):
    before = platform.last_call()

    http("GET", "/sns/jscode2session", params={"appid": "x"})

    [call] = platform.calls("/sns/", since=before)
    assert (call["method"], call["query"], call["status"]) == ("GET", {"appid": "x"}, 200)
    assert json.loads(call["reply"])["errcode"] == 41004
    assert platform.calls(since=call["id"]) == []


def test_a_reset_forgets_people_orders_faults_and_the_clock(platform, prepaid):
    prepaid()
    platform.fault("drop")
    platform.advance(3600)

    platform.reset()

    state = platform.state()
    assert (state["users"], state["orders"], state["faults"]) == ([], [], [])
    assert abs(state["clock"]["offset_seconds"]) < 1


def test_calls_since_a_time_are_the_later_ones(platform, http):
    http("GET", "/sns/jscode2session")
    started = time.time()
    http("GET", "/sns/auth")

    assert [call["path"] for call in platform.calls(since=started)] == ["/sns/auth"]
