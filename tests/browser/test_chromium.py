"""Without a browser the tests above say so, and fail where nothing may be skipped."""

import pytest

from tests.browser.conftest import chromium_path


@pytest.fixture
def no_chromium(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("KPAY_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    return monkeypatch


def test_without_chromium_the_tests_are_skipped_loudly(no_chromium: pytest.MonkeyPatch):
    no_chromium.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="NO BROWSER TEST RAN"):
        chromium_path()


def test_in_continuous_integration_nothing_is_skipped(no_chromium: pytest.MonkeyPatch):
    no_chromium.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="NO BROWSER TEST RAN"):
        chromium_path()
