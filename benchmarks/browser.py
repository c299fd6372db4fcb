"""A vSage server of its own process and a headless Chromium that can reach nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from rag.config import RagConfig
from rag.ingest import ingest
from rag.knowledge import open_knowledge
from rag.schema import EVERYONE
from rag.sources.files import FileSource

ROOT = Path(__file__).parent.parent

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


def chromium() -> tuple[str, str] | None:
    """Chromium and its driver, if both are installed (Debian: `chromium`, `chromium-driver`)."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def open_browser(width: int, height: int, *, dark: bool = False) -> Iterator[webdriver.Chrome]:
    """A fresh browser whose page is exactly that large, in CSS pixels."""
    found = chromium()
    if found is None:
        raise RuntimeError("Chromium is missing: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = found[0]
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(found[1]))
        try:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _metrics(width, height))
            scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
            yield driver
        finally:
            driver.quit()


def _metrics(width: int, height: int) -> dict[str, object]:
    return {
        "width": width,
        "height": height,
        "deviceScaleFactor": 1,
        "mobile": width < 600,
    }


@contextmanager
def serving(*overrides: str, start_within_s: float = 120.0) -> Iterator[str]:
    """The base URL of `python -m serve` with these overrides (`key=value`), on a free port."""
    command = [sys.executable, "-m", "serve", "--port", "0", "server.log_level=warning"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, *overrides], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        watchdog = threading.Timer(start_within_s, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            ready = re.search(r"page (http://\S+)/", process.stdout.readline())
            watchdog.cancel()
            if ready is None:
                log.seek(0)
                raise RuntimeError(f"the server did not start: {log.read()[-2000:]}")
            yield ready[1]
        finally:
            watchdog.cancel()
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def ingest_folder(data_dir: Path, folder: Path) -> None:
    """Take the documents below a folder into a fresh knowledge base."""
    config = RagConfig(data_dir=data_dir)
    knowledge = open_knowledge(config)
    try:
        source = FileSource([folder], max_bytes=config.ingest.max_file_mb * 1024 * 1024)
        ingest(knowledge, list(source.documents()), frozenset({EVERYONE}))
    finally:
        knowledge.close()
