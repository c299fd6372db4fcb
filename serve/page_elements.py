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
    "up": "M2 21h3V10H2zm20-10a2 2 0 0 0-2-2h-6l1-4.4V4a1.6 1.6 0 0 0-.4-1L13.5 2 7.6 8A2 2 0 0 0 7"
    " 9.4V19a2 2 0 0 0 2 2h8.5a2 2 0 0 0 1.8-1.2l2.6-6.6a2 2 0 0 0 .1-.7z",
    "down": "M22 3h-3v11h3zM2 13a2 2 0 0 0 2 2h6l-1 4.4v.6a1.6 1.6 0 0 0 .4 1l1.1 1 5.9-6a2 2 0 0 0"
    " .6-1.4V5a2 2 0 0 0-2-2H6.5a2 2 0 0 0-1.8 1.2l-2.6 6.6a2 2 0 0 0-.1.7z",
    "edit": "M3 17.2V21h3.8L17.8 9.9l-3.7-3.7zM20.7 7a1 1 0 0 0 0-1.4l-2.3-2.3a1 1 0 0 0-1.4 0l-1.8"
    " 1.8 3.7 3.7z",
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
