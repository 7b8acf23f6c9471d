"""`make demo`: load a shop, train in a worker, walk one learner's journey, keep serving.

With `--exit` it stops after the journey; the exit status is 0 only when every step held.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from devstack import movielens
from devstack.journey import Journey, StepFailed
from devstack.postgres import PostgresFailed
from devstack.processes import StartFailed
from devstack.stack import Stack, manage, running

OPERATOR = "operator"


def say(text: str) -> None:
    print(text, flush=True)


def operator_password(path: Path) -> str:
    if not path.exists():
        path.write_text(secrets.token_urlsafe(12), encoding="ascii")
        path.chmod(0o600)
    return path.read_text(encoding="ascii").strip()


def load_shop(stack: Stack, dataset: str | None) -> None:
    """Sample catalogue, real ratings, sample learners, an operator. Repeating it is harmless."""
    say("▸ 装载示例课程目录 / loading the sample catalogue")
    manage(stack.env, "load_sample", "--catalogue")
    folder = Path(dataset) if dataset else movielens.write(stack.state / "movielens")
    say(f"▸ 装载评分数据 / importing ratings from {folder}")
    manage(stack.env, "import_dataset", str(folder))
    say("▸ 装载示例学员的行为 / importing the sample learners' interactions")
    manage(stack.env, "load_sample", "--interactions", "--bridge", folder.name)
    password = operator_password(stack.state / "operator-password")
    operator = stack.state / "operator.json"
    operator.write_text(
        json.dumps(
            {
                "operators": [
                    {"key": OPERATOR, "username": OPERATOR, "password": password, "role": "owner"}
                ]
            }
        )
    )
    manage(stack.env, "provision", str(operator), quiet=True)
    operator.unlink()


def train(stack: Stack, *, again: bool) -> None:
    """A model trained by the Celery worker serves."""
    if not again and manage(stack.env, "serving_model", quiet=True).strip():
        say("▸ 已有在线模型，跳过训练（ARGS=--retrain 重新训练） / a model is serving already")
        manage(stack.env, "serving_model")
        return
    say("▸ 在 Celery worker 中训练推荐模型 / training in the Celery worker")
    manage(stack.env, "train", "--wait")


def serve(stack: Stack, token: str) -> None:
    """Say where things are and stay until Ctrl-C or a child's end."""
    password = operator_password(stack.state / "operator-password")
    say("")
    say(f"  API 文档 / docs      {stack.web}/api/docs/")
    say(f"  运营后台 / admin     {stack.web}/admin/    {OPERATOR} / {password}")
    say(f"  学员令牌 / bearer    {token}  (Authorize, 2 h)")
    say(f"  微信沙箱 / sandbox   {stack.sandbox}/_sandbox/state")
    say("  Ctrl-C 结束 / stops everything")
    while True:
        stack.processes.check()
        time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="stop after the journey")
    parser.add_argument("--retrain", action="store_true", help="train even if a model serves")
    options = parser.parse_args()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    began = time.monotonic()
    try:
        say("▸ 启动 PostgreSQL、沙箱、web、worker、beat / starting")
        with running() as stack:
            load_shop(stack, os.environ.get("DATASET"))
            train(stack, again=options.retrain)
            journey = Journey(stack)
            journey.walk()
            say(f"✔ 全部步骤通过 / every step held ({time.monotonic() - began:.0f} s)")
            if not options.exit:
                serve(stack, journey.token)
    except (PostgresFailed, StartFailed, StepFailed) as error:
        print(f"✘ {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        say("\n▸ 已停止 / stopped")
        return 0 if not options.exit else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
