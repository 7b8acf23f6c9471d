"""A sandbox of its own, a receiver in the product's place, and an independent SDK as merchant."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from wechatpayv3 import WeChatPay, WeChatPayType

from tests.sandbox.virtual import Shop
from wechat_sandbox.client import RunningSandbox, SandboxClient


class Receiver:
    """Stands where the product stands; `answer` decides what it says."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[str, dict[str, str], bytes], tuple[int, bytes]]
        self.reset()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                if len(body) < size:
                    return
                headers = dict(self.headers)
                receiver.got.append((self.path, headers, body))
                status, reply = receiver.answer(self.path, headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_POST  # noqa: N815 - the base class names it

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            request_queue_size = 256

            def handle_error(self, *_: Any) -> None:
                """The sandbox hangs up on purpose."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.notify_url = f"{self.url}/wechat/pay/notify"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def reset(self) -> None:
        self.got.clear()
        self.answer = lambda _path, _headers, _body: (200, b"")

    def notifies(self) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for path, headers, body in self.got if path.endswith("/notify")]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="session")
def _receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def receiver(_receiver: Receiver) -> Receiver:
    _receiver.reset()
    return _receiver


@pytest.fixture(scope="session")
def running(
    tmp_path_factory: pytest.TempPathFactory, _receiver: Receiver
) -> Iterator[RunningSandbox]:
    keys = tmp_path_factory.mktemp("sandbox") / "keys"
    with RunningSandbox(keys, target=_receiver.url, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def platform(running: RunningSandbox) -> SandboxClient:
    running.client.reset()
    return running.client


@pytest.fixture
def env(running: RunningSandbox) -> dict[str, str]:
    return running.environment


@pytest.fixture
def http(running: RunningSandbox) -> Iterator[Callable[..., Any]]:
    """`http("GET", "/sns/…", params=…)` asks as the product would and reads the JSON."""
    with requests.Session() as session:
        session.trust_env = False

        def ask(method: str, path: str, **kwargs: Any) -> Any:
            return session.request(method, running.base_url + path, timeout=30, **kwargs).json()

        yield ask


@pytest.fixture
def shop(platform: SandboxClient, env: dict[str, str], http: Callable[..., Any]) -> Shop:
    """A mini-program with virtual payment: one buyer, signatures of its own making."""
    return Shop(platform, env, http, platform.user(platform="android"))


@pytest.fixture(scope="session")
def make_sdk(running: RunningSandbox, _receiver: Receiver) -> Callable[..., WeChatPay]:
    """wechatpayv3 against this sandbox: an implementation that shares nothing with it."""

    def make(**changed: Any) -> WeChatPay:
        env = running.environment
        arguments: dict[str, Any] = {
            "wechatpay_type": WeChatPayType.JSAPI,
            "mchid": env["KPAY_WECHAT_MCHID"],
            "private_key": Path(env["KPAY_WECHAT_MCH_KEY_FILE"]).read_text(),
            "cert_serial_no": env["KPAY_WECHAT_MCH_SERIAL"],
            "appid": env["KPAY_WECHAT_MP_APPID"],
            "apiv3_key": env["KPAY_WECHAT_APIV3_KEY"],
            "notify_url": _receiver.notify_url,
            "public_key": Path(env["KPAY_WECHAT_PAY_PUBLIC_KEY_FILE"]).read_text(),
            "public_key_id": env["KPAY_WECHAT_PAY_PUBLIC_KEY_ID"],
            "timeout": 20,
        }
        sdk = WeChatPay(**(arguments | changed))
        sdk._core._gate_way = running.base_url
        return sdk

    return make


@pytest.fixture(scope="session")
def sdk(make_sdk: Callable[..., WeChatPay]) -> WeChatPay:
    return make_sdk()


@pytest.fixture
def payer(platform: SandboxClient) -> dict[str, Any]:
    return platform.user()


@pytest.fixture
def prepaid(
    platform: SandboxClient, sdk: WeChatPay, payer: dict[str, Any], receiver: Receiver
) -> Callable[..., str]:
    """`prepaid("T0001", 9900)` is an order that waits for its payer."""

    def make(out_trade_no: str = "T000001", total_fen: int = 9900) -> str:
        status, text = sdk.pay(
            "课程", out_trade_no, {"total": total_fen}, payer={"openid": payer["openid"]}
        )
        assert status == 200, text
        return out_trade_no

    return make


@pytest.fixture
def signed(
    env: dict[str, str], running: RunningSandbox, platform: SandboxClient
) -> Callable[..., requests.Response]:
    """Sends a request that was signed by hand, with whatever is `changed` after signing."""
    key = serialization.load_pem_private_key(
        Path(env["KPAY_WECHAT_MCH_KEY_FILE"]).read_bytes(), password=None
    )

    def ask(
        method: str,
        target: str,
        body: bytes = b"",
        *,
        sent_body: bytes | None = None,
        skew: int = 0,
        serial: str | None = None,
        mchid: str | None = None,
        **more: str,
    ) -> requests.Response:
        moment, nonce = str(int(time.time()) + skew), "n0nce"
        message = b"\n".join(
            [method.encode(), target.encode(), moment.encode(), nonce.encode(), body, b""]
        )
        signature = base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256()))
        fields = {
            "mchid": mchid or env["KPAY_WECHAT_MCHID"],
            "nonce_str": nonce,
            "timestamp": moment,
            "serial_no": serial or env["KPAY_WECHAT_MCH_SERIAL"],
            "signature": signature.decode(),
        }
        scheme = more.pop("scheme", "WECHATPAY2-SHA256-RSA2048")
        headers = {
            "Authorization": scheme + " " + ",".join(f'{n}="{v}"' for n, v in fields.items()),
            "Accept": "application/json",
            "User-Agent": "test",
            "Content-Type": "application/json",
        }
        return requests.request(
            method,
            running.base_url + target,
            data=body if sent_body is None else sent_body,
            headers=headers | more,
            timeout=10,
        )

    return ask
