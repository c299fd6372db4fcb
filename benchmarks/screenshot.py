"""`python -m benchmarks.screenshot`: take docs/page.png anew, from the sample knowledge base.

Two pictures of one answer: on a desktop with a source open, and on a phone in the dark.
Needs `make models`, Chromium and its driver.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks.browser import ROOT, ingest_folder, open_browser, serving

QUESTION = "Which setting enables vMotion for vGPU?"
PICTURE = ROOT / "docs" / "page.png"
_GAP = 24
_COLOURS = 256
_ANSWER_WITHIN_S = 180


def main(picture: Path = PICTURE) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ingest_folder(Path(folder), ROOT / "docs" / "kb")
        with serving(f"data_dir={folder}") as url:
            with open_browser(1280, 800) as desktop:
                _ask(desktop, url)
                _open_source(desktop)
                wide = _shot(desktop)
            with open_browser(390, 800, dark=True) as phone:
                _ask(phone, url)
                narrow = _shot(phone)
    both = Image.new("RGB", (wide.width + _GAP + narrow.width, wide.height), "white")
    both.paste(wide, (0, 0))
    both.paste(narrow, (wide.width + _GAP, 0))
    both.quantize(_COLOURS).save(picture, optimize=True)
    print(f"{picture}: {both.width} x {both.height}, {picture.stat().st_size // 1024} KiB")


def _ask(driver: Chrome, url: str) -> None:
    driver.get(url)
    wait = WebDriverWait(driver, _ANSWER_WITHIN_S)
    field = wait.until(lambda d: d.find_element(By.CSS_SELECTOR, ".composer textarea"))
    field.send_keys(QUESTION + Keys.ENTER)
    wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, '.reply[aria-busy="false"]'))


def _open_source(driver: Chrome) -> None:
    driver.find_element(By.CSS_SELECTOR, ".source").click()
    centred = (
        "const found = document.querySelector('#cited-passage .support');"
        "return found && Math.abs(found.getBoundingClientRect().top - innerHeight / 2) < 200"
        " && !document.querySelector('.q-dialog__inner--animating')"
    )
    WebDriverWait(driver, 20).until(lambda d: d.execute_script(centred))


def _shot(driver: Chrome) -> Image.Image:
    return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")


if __name__ == "__main__":
    sys.exit(main())
