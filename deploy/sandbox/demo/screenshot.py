"""A picture of a page, for the README."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from deploy.sandbox.demo.stage import DemoFailed

WIDTH, HEIGHT = 1280, 800
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def take(url: str, path: Path) -> None:
    """Write a PNG of `url`. DemoFailed without a browser; CHROMIUM may name one."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not browser:
        raise DemoFailed("no Chromium found: install it, or set CHROMIUM to its path")
    path.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=list(QUIET))
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url)
        page.screenshot(path=path)
        chromium.close()
