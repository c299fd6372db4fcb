"""Plain HTML elements, for a page whose look is its own style sheet rather than the library's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

_ICONS = {
    "send": "M12 4l7 7-1.4 1.4L13 7.8V20h-2V7.8l-4.6 4.6L5 11z",
    "stop": "M6 6h12v12H6z",
    "close": "M18.3 7.1 16.9 5.7 12 10.6 7.1 5.7 5.7 7.1l4.9 4.9-4.9 4.9 1.4 1.4 4.9-4.9 4.9 4.9"
    " 1.4-1.4-4.9-4.9z",
    "add": "M19 13h-6v6h-2v-6H5v-2h6V5h2v6h6z",
}


def element(tag: str, classes: str = "") -> Element:
    return ui.element(tag).classes(classes)


def text(content: str, classes: str = "", *, tag: str = "div") -> TextElement:
    """An element that holds text. The browser is given text, never HTML."""
    return TextElement(tag=tag, text=content).classes(classes)


def press(target: Element, handler: Callable[[], Any]) -> None:
    """Call `handler`, without the event, when the element is clicked or activated by key."""
    target.on("click", lambda _: handler(), args=[])


def icon_button(
    icon: str, label: str, handler: Callable[[], Any], classes: str = "", *, wide: bool = False
) -> Element:
    """A button with a drawn icon; with `wide` its label stands beside it where there is room."""
    button = element("button", f"icon-button {classes}")
    button.props["type"] = "button"
    button.props["aria-label"] = label
    button.props["title"] = label
    press(button, handler)
    with button:
        svg = element("svg")
        svg.props["viewBox"] = "0 0 24 24"
        svg.props["aria-hidden"] = "true"
        with svg:
            element("path").props["d"] = _ICONS[icon]
        if wide:
            text(label, "button-label", tag="span")
    return button
