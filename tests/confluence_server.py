"""A small Confluence on loopback, in Cloud's and in Data Center's shape, and a server that can be
made to fail in the ways that servers do."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, unquote_plus, urlencode, urlsplit

Query = dict[str, list[str]]


@dataclass
class Reply:
    content: bytes | dict[str, Any] | list[Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    promised: int = 0
    """Bytes announced beyond those sent, before the connection is closed."""


@dataclass
class Fault:
    """What is answered to the next `times` requests whose path and query hold `where`."""

    where: str
    reply: Reply
    times: int = 1_000_000
    skip: int = 0
    """As many matching requests are answered well before."""


HTML_SIGN_IN = Reply(b"<html><form action='/login'>", headers={"Content-Type": "text/html"})
CUT = Reply(b'{"results": [', promised=1000)
HALF_JSON = Reply(b'{"results": [{"id": "1", "ti')


@dataclass(frozen=True)
class Seen:
    path: str
    query: Query
    headers: dict[str, str]
    """By their names in lower case."""


class FaultyServer:
    """Answers with `answer`, unless a fault comes first; remembers what it was asked."""

    context = ""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []
        self.url = ""

    def answer(self, path: str, query: Query) -> Reply:
        raise NotImplementedError

    def fail(self, where: str, reply: Reply, times: int = 1_000_000, skip: int = 0) -> None:
        self.faults.append(Fault(where, reply, times, skip))

    def paths(self) -> Counter[str]:
        return Counter(seen.path for seen in self.requests)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its address, while it runs on a free port."""
        server = _QuietServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_port}{self.context}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self.url
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def reply_to(self, target: str, headers: dict[str, str]) -> Reply:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        self.requests.append(Seen(parts.path, query, headers))
        for fault in self.faults:
            if fault.where not in unquote_plus(target) or fault.times == 0:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault.reply
        if not parts.path.startswith(self.context):
            return Reply(b"", 404)
        return self.answer(unquote(parts.path.removeprefix(self.context)), query)


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


def _handler(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's word

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.reply_to(self.path, headers)
            content = reply.content
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + reply.promised))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = reply.promised > 0

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@dataclass
class WikiFile:
    title: str
    content: bytes = b"text of the file"
    version: int = 1
    size: int | None = None
    """As announced; None is the true one."""


@dataclass
class WikiPage:
    title: str
    body: str = "<p>text</p>"
    space: str = "ENG"
    kind: str = "page"
    parents: tuple[str, ...] = ()
    version: int = 1
    when: str = "2026-03-01T10:00:00.000+01:00"
    labels: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    files: list[WikiFile] = field(default_factory=list)
    status: str = "current"


@dataclass
class WikiSpace:
    readers: tuple[str, ...] = ("confluence-users",)
    """Groups, and users as `user:NAME`."""
    anonymous: bool = False
    status: str = "current"


class Wiki(FaultyServer):
    """Pages and spaces by id and key. Only what a request expands is in the answer."""

    def __init__(self, *, cloud: bool = False, context: str = "") -> None:
        super().__init__()
        self.cloud = cloud
        self.context = "/wiki" if cloud else context
        self.spaces: dict[str, WikiSpace] = {"ENG": WikiSpace()}
        self.pages: dict[str, WikiPage] = {}
        self.most = 1000
        """Entries on one page of a list, whatever is asked for."""
        self.hidden: set[str] = set()
        """Ids that no list has, though they are there: folders, and pages closed to the account."""

    def answer(self, path: str, query: Query) -> Reply:
        routes = {
            r"/rest/api/space": self._spaces_v1,
            r"/api/v2/spaces": self._spaces_v2,
            r"/rest/api/content": self._contents,
            r"/rest/api/content/search": self._search,
            r"/rest/api/space/([^/]+)/permissions": self._permissions,
            r"/rest/api/space/([^/]+)/permissions/anonymous": self._anonymous,
            r"/rest/api/user": self._user,
            r"/rest/api/content/(\d+)": self._content,
            r"/api/v2/(?:pages|blogposts)/(\d+)": self._body_v2,
            r"/rest/api/content/(\d+)/restriction/byOperation/read": self._restriction,
            r"/rest/api/content/(\d+)/child/attachment": self._attachments,
            r"/download/attachments/(\d+)/(.+)": self._download,
        }
        for pattern, route in routes.items():
            if match := re.fullmatch(pattern, path):
                of_cloud = "/api/v2/" in pattern or pattern.endswith("/search")
                both = "restriction" in pattern or "download" in pattern
                if not both and of_cloud != self.cloud:
                    gone = {"message": "This deprecated endpoint has been removed."}
                    return Reply(gone, 410 if self.cloud else 404)
                return route(query, *match.groups())
        return Reply({"message": "null for uri"}, 404)

    def _list(
        self, path: str, query: Query, entries: Sequence[dict[str, Any] | str], limit: int = 25
    ) -> dict[str, Any]:
        """One page of a list of entries, or of pages by their ids."""
        asked = int(query.get("limit", [str(limit)])[0])
        limit = min(asked, self.most)
        start = int(query.get("cursor", query.get("start", ["0"]))[0])
        page: dict[str, Any] = {
            "results": [
                self._entry(entry, query) if isinstance(entry, str) else entry
                for entry in entries[start : start + limit]
            ],
            "limit": limit,
            "_links": {"base": self.url, "context": self.context},
        }
        page["size"] = len(page["results"])
        if start + limit < len(entries):
            # Data Center counts what was asked for, even where it has sent less.
            to = {"cursor": start + limit} if self.cloud else {"start": start + asked}
            page["_links"]["next"] = f"{path}?{urlencode({**query, **to}, doseq=True)}"
        return page

    def _known_spaces(self, query: Query, keys: list[str]) -> list[dict[str, Any]]:
        status = query.get("status")
        return [
            {"id": number, "key": key, "name": key, "status": space.status, "type": "global"}
            for number, (key, space) in enumerate(self.spaces.items(), start=100)
            if (not keys or key in keys) and (status is None or space.status in status)
        ]

    def _spaces_v1(self, query: Query) -> Reply:
        entries = self._known_spaces(query, query.get("spaceKey", []))
        return Reply(self._list("/rest/api/space", query, entries))

    def _spaces_v2(self, query: Query) -> Reply:
        keys = [key for part in query.get("keys", []) for key in part.split(",")]
        entries = [{**s, "id": str(s["id"])} for s in self._known_spaces(query, keys)]
        return Reply(self._list("/wiki/api/v2/spaces", query, entries))

    def _contents(self, query: Query) -> Reply:
        ids = [
            page_id
            for page_id, page in self.pages.items()
            if page_id not in self.hidden
            and page.space == query["spaceKey"][0]
            and page.kind == query["type"][0]
            and page.status == query["status"][0]
        ]
        return Reply(self._list("/rest/api/content", query, ids))

    def _search(self, query: Query) -> Reply:
        cql = query["cql"][0]
        path = "/rest/api/content/search"
        if match := re.match(r'type=attachment and container="(\d+)"', cql):
            return Reply(self._list(path, query, self._files(match[1])))
        match = re.match(r'space="([^"]+)"', cql)
        assert match, cql
        statuses = json.loads(query.get("cqlcontext", ['{"contentStatuses": ["current"]}'])[0])
        ids = [
            page_id
            for page_id, page in self.pages.items()
            if page_id not in self.hidden
            and page.space == match[1]
            and page.status in statuses["contentStatuses"]
        ]
        return Reply(self._list(path, query, ids))

    def _entry(self, page_id: str, query: Query) -> dict[str, Any]:
        page, expand = self.pages[page_id], query["expand"][0].split(",")
        entry: dict[str, Any] = {
            "id": page_id,
            "type": page.kind,
            "status": page.status,
            "title": page.title,
            "_links": {"webui": f"/spaces/{page.space}/pages/{page_id}/{quote(page.title)}"},
            "_expandable": {"body": "", "restrictions": ""},
        }
        if "version" in expand:
            entry["version"] = {"number": page.version, "when": page.when, "by": {}}
        if "ancestors" in expand:
            entry["ancestors"] = [
                {"id": parent, "type": "page", "title": self.pages[parent].title}
                for parent in page.parents
            ]
        if "metadata.labels" in expand:
            labels = [{"prefix": "global", "name": label} for label in page.labels]
            entry["metadata"] = {"labels": {"results": labels, "start": 0, "limit": 200}}
        if "restrictions.read.restrictions.user" in expand:
            entry["restrictions"] = {"read": self._read(page), "_expandable": {"update": ""}}
        if "children.attachment.version" in expand:
            files = self._files(page_id)
            children: dict[str, Any] = {"results": files[:25], "limit": 25, "_links": {}}
            if len(files) > 25:
                children["_links"]["next"] = (
                    f"/rest/api/content/{page_id}/child/attachment?start=25"
                )
            entry["children"] = {"attachment": children}
        if "space.permissions" in expand:
            entry["space"] = {"key": page.space, "permissions": self._granted_v1(page.space)}
        return entry

    def _read(self, page: WikiPage) -> dict[str, Any]:
        users = [self._named(name) for name in page.users]
        groups = [{"type": "group", "name": name, "id": f"id-{name}"} for name in page.groups]
        return {
            "operation": "read",
            "restrictions": {
                "user": {"results": users, "start": 0, "limit": 200, "size": len(users)},
                "group": {"results": groups, "start": 0, "limit": 200, "size": len(groups)},
            },
        }

    def _named(self, name: str) -> dict[str, Any]:
        if self.cloud:
            return {"type": "known", "accountId": f"557058:{name}", "email": f"{name}@example.com"}
        return {"type": "known", "username": name, "userKey": f"key-{name}"}

    def _granted_v1(self, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for reader in self.spaces[key].readers:
            if reader.startswith("user:"):
                subjects = {"user": {"results": [self._named(reader[5:])], "size": 1}}
            else:
                subjects = {"group": {"results": [{"type": "group", "name": reader}], "size": 1}}
            for operation, target in (("read", "space"), ("create", "page")):
                found.append(
                    {
                        "subjects": {**subjects, "_expandable": {}},
                        "operation": {"operation": operation, "targetType": target},
                        "anonymousAccess": False,
                        "unlicensedAccess": False,
                    }
                )
        for operation, target in (("create", "page"), ("read", "page"), ("export", "space")):
            others = {"results": [{"type": "group", "name": f"may-{operation}-{target}"}]}
            found.append(
                {
                    "subjects": {"group": others},
                    "operation": {"operation": operation, "targetType": target},
                    "anonymousAccess": operation != "read",
                }
            )
        if self.spaces[key].anonymous:
            operation = {"operation": "read", "targetType": "space"}
            found.append({"operation": operation, "anonymousAccess": True})
        return found

    def _permissions(self, query: Query, key: str) -> Reply:
        granted: list[dict[str, Any]] = [
            {
                "operation": {"targetType": target, "operationKey": operation},
                "subject": {"type": "group", "name": f"may-{operation}-{target}"},
            }
            for operation, target in (("create", "page"), ("read", "page"), ("export", "space"))
        ]
        for reader in self.spaces[key].readers:
            subject = {"type": "group", "name": reader}
            if reader.startswith("user:"):
                subject = {"type": "user", "userKey": f"key-{reader[5:]}"}
            operation = {"targetType": "space", "operationKey": "read"}
            granted.append({"operation": operation, "subject": subject, "spaceKey": key})
        return Reply(granted)

    def _anonymous(self, query: Query, key: str) -> Reply:
        operation = {"targetType": "space", "operationKey": "read"}
        return Reply([{"operation": operation}] if self.spaces[key].anonymous else [])

    def _user(self, query: Query) -> Reply:
        name = query["key"][0].removeprefix("key-")
        return Reply({}, 404) if name == "left" else Reply(self._named(name))

    def _content(self, query: Query, page_id: str) -> Reply:
        page = self.pages.get(page_id)
        if page is None or query["expand"] != ["body.export_view"]:
            return Reply({"statusCode": 404, "message": f"No content found with id {page_id}"}, 404)
        view = {"value": page.body, "representation": "export_view"}
        return Reply({"id": page_id, "title": page.title, "body": {"export_view": view}})

    def _body_v2(self, query: Query, page_id: str) -> Reply:
        page = self.pages.get(page_id)
        if page is None or query["body-format"] != ["export_view"]:
            return Reply({"errors": [{"status": 404, "code": "NOT_FOUND"}]}, 404)
        view = {"value": page.body, "representation": "export_view"}
        return Reply({"id": page_id, "title": page.title, "body": {"export_view": view}})

    def _restriction(self, query: Query, page_id: str) -> Reply:
        page = self.pages.get(page_id)
        return Reply(self._read(page)) if page else Reply({"message": "No content"}, 404)

    def _files(self, page_id: str) -> list[dict[str, Any]]:
        return [
            {
                "id": f"att{page_id}{number}",
                "type": "attachment",
                "status": "current",
                "title": file.title,
                "version": {"number": file.version, "when": "2026-02-01T00:00:00.000Z"},
                "extensions": {
                    "fileSize": len(file.content) if file.size is None else file.size,
                },
                "_links": {
                    "webui": f"/pages/viewpage.action?pageId={page_id}&preview={number}",
                    "download": f"/download/attachments/{page_id}/{quote(file.title)}?version=1",
                },
            }
            for number, file in enumerate(self.pages[page_id].files)
        ]

    def _attachments(self, query: Query, page_id: str) -> Reply:
        path = f"/rest/api/content/{page_id}/child/attachment"
        return Reply(self._list(path, query, self._files(page_id)))

    def _download(self, query: Query, page_id: str, title: str) -> Reply:
        for file in self.pages[page_id].files:
            if file.title == title:
                return Reply(file.content, headers={"Content-Type": "application/octet-stream"})
        return Reply(b"", 404)
