"""The web page at `/`, beside the API in the same application. All it loads comes from here.

NiceGUI keeps one application per process; mounted into a second one, its page shows that one's
parts.
"""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.errors import RagError
from serve.page_chat import ChatPage
from serve.page_elements import element, text
from serve.page_examples import example_questions
from serve.wiring import Parts

_STATIC = Path(__file__).parent / "static"
_RECONNECT_S = 30.0
"""How long a page that lost its connection keeps its conversation. Pings go out at 4/5 of it, and
proxies close a connection that is silent for a minute."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The browser's own guard against loads from elsewhere. NiceGUI compiles its templates in the
browser, hence the two exceptions for scripts."""
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


def mount_page(app: FastAPI, parts: Parts) -> None:
    """Serve the page at `/` of `app`. Routes that `app` has already keep working as they did."""
    style = (_STATIC / "page.css").read_text(encoding="utf-8")
    icon = (_STATIC / "icon.svg").read_text(encoding="utf-8")
    groups, catalog = parts.groups, parts.knowledge.catalog

    @ui.page("/", title="vSage")
    async def index() -> None:
        ui.add_head_html(f"<style>{style}</style>")
        try:
            searched = await asyncio.to_thread(catalog.count, groups)
            examples = await asyncio.to_thread(example_questions, catalog, groups)
        except RagError as error:
            _unavailable(str(error))
            return
        ChatPage(parts, examples, searched)

    # At start NiceGUI looks at every object there is, and one of torch's answers with a warning.
    warnings.filterwarnings("ignore", "`torch.distributed.reduce_op`", FutureWarning)
    # A process that mounts the page again, as tests do, would find NiceGUI's middleware sealed.
    nicegui_app.user_middleware.clear()
    nicegui_app.middleware_stack = None
    ui.run_with(
        app,
        title="vSage",
        favicon=icon,
        dark=None,
        language="en-US",
        tailwind=False,
        reconnect_timeout=_RECONNECT_S,
        show_welcome_message=False,
    )
    # Mounted as it is, NiceGUI would answer every path and method that the API does not know.
    app.router.routes.pop()
    app.router.routes.append(_PageRoutes("", app=_with_headers(nicegui_app), name="page"))


class _PageRoutes(Mount):
    """The paths that belong to the page; all others are left to the application's own 404."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in {"/", "/favicon.ico"} or path.startswith(("/_nicegui/", "/_nicegui_ws/")):
            return super().matches(scope)
        return Match.NONE, {}


def _with_headers(inner: ASGIApp) -> ASGIApp:
    async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await inner(scope, receive, send_more)

    return with_headers


def _unavailable(reason: str) -> None:
    with element("div", "app"), element("section", "hello"):
        text("vSage can't search right now", "hello-title", tag="h1")
        text(reason, "hello-text", tag="p")
