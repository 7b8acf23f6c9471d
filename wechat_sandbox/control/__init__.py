"""The control API under /_sandbox: what users, time and bad luck do (`contract.md` section 3)."""

from wechat_sandbox.control.api import control_answer

__all__ = ["control_answer"]
