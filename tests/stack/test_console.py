"""The console, walked through in a real browser as the guide shows it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from darkchannel.storage import MinIOClient
from tests.stack.conftest import ROOT, Stack

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

IMAGES = ROOT / "docs" / "images"
UPDATE = "UPDATE_SCREENSHOTS"
"""Set, the walk leaves its screenshots where the guide shows them."""

FLAGS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of the machine's own Chromium."""
    from playwright.sync_api import sync_playwright  # installed for the acceptance tests alone

    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "chromium is missing; tests/stack/prepare.sh installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def shown(page: Page, name: str, tmp_path: Path) -> None:
    """A picture of the page: for the guide if asked for, else to look at after a failure."""
    folder = IMAGES if UPDATE in os.environ else tmp_path
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"console-{name}.png")
    assert (IMAGES / f"console-{name}.png").is_file(), f"run with {UPDATE}=1 and commit the image"


def test_a_person_logs_in_uploads_and_downloads(stack: Stack, page: Page, tmp_path: Path) -> None:
    """Log in, see the four buckets, upload a file, download it again: as the guide says."""
    admin = stack.credentials("root")
    source = tmp_path / "narrador.wav"
    source.write_bytes(os.urandom(40_000))

    page.goto(stack.console)
    page.wait_for_selector("#accessKey")
    shown(page, "login", tmp_path)
    page.fill("#accessKey", admin.access_key)
    page.fill("#secretKey", admin.secret_key)
    page.click("button[type=submit]")

    page.wait_for_selector("text=darkchannel-temp")
    for bucket in ("darkchannel-jobs", "darkchannel-output", "darkchannel-refs"):
        assert page.locator(f"text={bucket}").first.is_visible()
    shown(page, "buckets", tmp_path)

    page.goto(f"{stack.console}/browser/darkchannel-refs")
    page.wait_for_selector("#upload-main")
    page.set_input_files("input[type=file]:not([webkitdirectory])", source)
    page.wait_for_selector("text=narrador.wav")
    client = MinIOClient(stack.store("api"))
    assert client.get("darkchannel-refs", "narrador.wav").data == source.read_bytes()
    shown(page, "upload", tmp_path)

    page.reload()
    page.locator("text=narrador.wav").first.click()
    page.wait_for_selector("text=Download")
    shown(page, "download", tmp_path)
    with page.expect_download() as waiting:
        page.locator("text=Download").first.click()
    saved = tmp_path / "saved.wav"
    waiting.value.save_as(saved)
    assert saved.read_bytes() == source.read_bytes()
