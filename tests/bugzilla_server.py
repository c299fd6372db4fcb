"""A small Bugzilla on loopback, in the shape of Bugzilla 5's REST interface."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.confluence_server import FaultyServer, Query, Reply


@dataclass
class Note:
    text: str
    creator: str = "ann@example.com"
    time: str = "2026-03-01T10:00:00Z"
    is_private: bool = False


@dataclass
class Ticket:
    summary: str = "Host loses its GPU"
    notes: list[Note] = field(default_factory=lambda: [Note("It is gone after a reboot.")])
    status: str = "RESOLVED"
    resolution: str = "FIXED"
    product: str = "Hypervisor"
    component: str = "PCI"
    version: str = "8.0"
    severity: str = "major"
    keywords: tuple[str, ...] = ()
    changed: str = "2026-03-02T08:30:00Z"
    groups: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    creator: str = "ann@example.com"
    assignee: str = "bob@example.com"
    qa_contact: str = ""
    cc_sees: bool = True
    creator_sees: bool = True


class Tracker(FaultyServer):
    """Bugs by number. Answers with the fields asked for, and searches by what a test needs."""

    def __init__(self, context: str = "", rest_path: str = "rest") -> None:
        super().__init__()
        self.context = context
        self.rest_path = rest_path
        self.bugs: dict[int, Ticket] = {}
        self.people = {"ann@example.com": "Ann Example", "bob@example.com": "Bob <bob@example.com>"}
        self.most = 10_000
        """Its parameter max_search_results."""
        self.key = ""
        """The one valid key; empty: everybody may see everything."""

    def reply_to(self, target: str, headers: dict[str, str]) -> Reply:
        reply = super().reply_to(target, headers)
        sent = headers.get("x-bugzilla-api-key", headers.get("authorization", ""))
        if self.key and reply.status == 200 and sent not in (self.key, f"Bearer {self.key}"):
            message = "The API key you specified is invalid. Please check that you typed it."
            return Reply({"error": True, "code": 306, "message": message}, 400)
        return reply

    def answer(self, path: str, query: Query) -> Reply:
        if path == f"/{self.rest_path}/bug":
            return self._search(query)
        if match := re.fullmatch(rf"/{self.rest_path}/bug/(\d+)/comment", path):
            return self._comments(int(match[1]))
        return Reply(b"<html>Not Found", 404, {"Content-Type": "text/html"})

    def _search(self, query: Query) -> Reply:
        assert query["order"] == ["bug_id"]
        assert (query["f90"], query["o90"]) == (["bug_id"], ["greaterthan"])
        fields = query["include_fields"][0].split(",")
        limit = min(int(query["limit"][0]), self.most)
        found = [
            number
            for number in sorted(self.bugs)
            if number > int(query["v90"][0]) and self._matches(self.bugs[number], query)
        ]
        entries = [self._entry(number) for number in found[:limit]]
        return Reply({"bugs": [{name: e[name] for name in fields} for e in entries]})

    def _matches(self, bug: Ticket, query: Query) -> bool:
        return (
            bug.product in query.get("product", [bug.product])
            and bug.component in query.get("component", [bug.component])
            and bug.severity in query.get("bug_severity", [bug.severity])
            and bug.changed >= query.get("last_change_time", [""])[0]
        )

    def _entry(self, number: int) -> dict[str, Any]:
        bug = self.bugs[number]
        return {
            "id": number,
            "summary": bug.summary,
            "status": bug.status,
            "resolution": bug.resolution,
            "product": bug.product,
            "component": bug.component,
            "version": bug.version,
            "severity": bug.severity,
            "keywords": list(bug.keywords),
            "last_change_time": bug.changed,
            "groups": list(bug.groups),
            "is_cc_accessible": bug.cc_sees,
            "is_creator_accessible": bug.creator_sees,
            "creator": bug.creator,
            "creator_detail": self._person(bug.creator),
            "assigned_to": bug.assignee,
            "assigned_to_detail": self._person(bug.assignee),
            "qa_contact": bug.qa_contact,
            "qa_contact_detail": self._person(bug.qa_contact) if bug.qa_contact else None,
            "cc": list(bug.cc),
            "cc_detail": [self._person(login) for login in bug.cc],
        }

    def _person(self, login: str) -> dict[str, Any]:
        name = self.people.get(login, "")
        return {"id": 1, "name": login, "real_name": name, "email": login}

    def _comments(self, number: int) -> Reply:
        bug = self.bugs.get(number)
        if bug is None:
            message = f"Bug #{number} does not exist."
            return Reply({"error": True, "code": 101, "message": message}, 404)
        comments = [
            {
                "id": 1000 * number + count,
                "bug_id": number,
                "count": count,
                "text": note.text,
                "creator": note.creator,
                "time": note.time,
                "creation_time": note.time,
                "is_private": note.is_private,
                "tags": [],
            }
            for count, note in enumerate(bug.notes)
        ]
        return Reply({"bugs": {str(number): {"comments": comments}}, "comments": {}})
