"""Votes and corrections on the page, in a real browser on a real server."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from guardrails import GuardrailsConfig, open_rails
from rag.catalog import Catalog
from rag.config import RagConfig
from serve.chat import Finished
from serve.config import ServeConfig
from serve.feedback import Feedback, read_feedback
from serve.page_chat import ChatPage
from serve.wiring import Parts
from tests.fakes import FakeEmbedder, fake_knowledge
from tests.test_serve_page import VMOTION, _ask, _wait, browser, visit

__all__ = ["browser", "visit"]  # fixtures of the other tests of the page

GOOD, BAD = '[aria-label="Good answer"]', '[aria-label="Bad answer"]'


@pytest.fixture(scope="module")
def data(running_server: str, server_data: Path) -> Path:
    """The data folder of the server that all tests of the page share."""
    return server_data


def latest(data: Path) -> list[Feedback]:
    """All feedback on the answer that was last given any."""
    catalog = Catalog(RagConfig(data_dir=data))
    found = list(read_feedback(catalog))
    catalog.close()
    return [row for row in found if row.answer_id == found[-1].answer_id]


def stored(data: Path) -> list[tuple[str, bool | None, str]]:
    return [(row.kind, row.value, row.text) for row in latest(data)]


def note(driver: Chrome, reply: WebElement, says: str) -> None:
    give_up = time.monotonic() + 20
    while says not in reply.find_element(By.CSS_SELECTOR, ".feedback-note").text:
        assert time.monotonic() < give_up, f"no note says {says}"
        time.sleep(0.05)


def test_a_vote_is_stored_and_can_be_changed_and_an_answer_corrected(
    visit: Callable[[str], Chrome], running_server: str, data: Path
) -> None:
    driver = visit(running_server)
    reply = _ask(driver, VMOTION)
    good, bad = (reply.find_element(By.CSS_SELECTOR, name) for name in (GOOD, BAD))
    assert [b.get_attribute("aria-pressed") for b in (good, bad)] == ["false", "false"]
    good.click()
    note(driver, reply, "Thank you")
    assert stored(data) == [("vote", True, "")]
    bad.click()
    _wait(driver, f'{BAD}[aria-pressed="true"]')
    assert good.get_attribute("aria-pressed") == "false"
    assert stored(data) == [("vote", False, "")]

    reply.find_element(By.CSS_SELECTOR, '[aria-label="Correct this answer"]').click()
    field = _wait(driver, ".correction textarea")
    assert "vgpu.hotmigrate.enabled" in str(field.get_property("value"))
    send = reply.find_elements(By.CSS_SELECTOR, ".correction-foot .quiet")[0]
    send.click()
    note(driver, reply, "Change the text first")
    field.send_keys(Keys.CONTROL + "a")
    field.send_keys(Keys.DELETE)
    send.click()
    note(driver, reply, "the correction is empty")
    field.send_keys("Set it to true. <b>Now</b>")
    send.click()
    note(driver, reply, "the correction is stored")
    corrected = ("correction", None, "Set it to true. <b>Now</b>")
    assert stored(data) == [("vote", False, ""), corrected]
    assert not field.is_displayed()


def test_the_page_and_the_api_are_one_caller(
    visit: Callable[[str], Chrome], running_server: str, data: Path
) -> None:
    driver = visit(running_server)
    reply = _ask(driver, VMOTION)
    reply.find_element(By.CSS_SELECTOR, GOOD).click()
    note(driver, reply, "Thank you")
    (before,) = latest(data)
    body = json.dumps({"id": before.answer_id, "vote": False}).encode()
    kind = {"content-type": "application/json"}
    request = urllib.request.Request(f"{running_server}/v1/feedback", body, kind)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["recorded"] == ["vote"]
    (after,) = latest(data)
    assert (before.value, after.value) == (True, False)
    assert (before.answer_id, before.caller) == (after.answer_id, after.caller)


def test_refusals_take_votes_too_and_nothing_is_wider_than_a_phone(
    visit: Callable[[str], Chrome], running_server: str
) -> None:
    driver = visit(running_server)
    size = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        reply = _ask(driver, "Who won the football world cup in 2010?")
        assert "refusal" in str(reply.get_attribute("class"))
        reply.find_element(By.CSS_SELECTOR, BAD).click()
        note(driver, reply, "Thank you")
        reply.find_element(By.CSS_SELECTOR, '[aria-label="Correct this answer"]').click()
        _wait(driver, ".correction textarea")
        script = (
            "return [...document.querySelectorAll('.app *')]"
            ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
            ".map(e => e.className)"
        )
        assert driver.execute_script(script) == []
    finally:
        size = {**size, "width": 1280, "height": 800}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_switched_off_there_is_nothing_to_press(tmp_path: Path) -> None:
    class Shown:
        """Where a turn would take in what stands below it."""

        below = None

    page = ChatPage.__new__(ChatPage)
    config = ServeConfig.model_validate({"server": {"feedback": {"enabled": False}}})
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    page._parts = Parts(config, fake_knowledge(tmp_path), None, rails)
    page._offer_feedback(Shown(), Finished(text="yes"))  # type: ignore[arg-type]
    assert page._parts.answers._unwritten == {}
