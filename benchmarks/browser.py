"""A vSage server of its own process and a headless Chromium that can reach nothing else."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from serve.config import ServeConfig

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
def serving(config: ServeConfig, start_within_s: float = 120.0) -> Iterator[str]:
    """The base URL of a server with this configuration, on a free port, in its own process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(config.model_dump_json(), port), daemon=True
    )
    process.start()
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + start_within_s
        while not _answers(f"{url}/healthz"):
            if not process.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start (exit code {process.exitcode})")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.join(timeout=20)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _serve(config_json: str, port: int) -> None:
    """Runs in the server's process."""
    import uvicorn

    from serve.app import create_app
    from serve.page import mount_page
    from serve.wiring import open_parts

    config = ServeConfig.model_validate(json.loads(config_json))
    parts = open_parts(config)
    app = create_app(parts)
    if not any(getattr(route, "name", "") == "page" for route in app.routes):
        mount_page(app, parts)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)


def ingest_folder(config: ServeConfig, folder: Path) -> None:
    """Take the documents below a folder into the catalog that the configuration names."""
    from rag.ingest import ingest
    from rag.knowledge import open_knowledge
    from rag.schema import EVERYONE
    from rag.source import FileSource

    knowledge = open_knowledge(config)
    try:
        source = FileSource([folder], max_bytes=config.ingest.max_file_mb * 1024 * 1024)
        ingest(knowledge, list(source.documents()), frozenset({EVERYONE}))
    finally:
        knowledge.close()
