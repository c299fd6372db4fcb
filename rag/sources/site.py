"""`configs/sources.yaml`: the places that a site's documents come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from rag.config import RagConfig, Section
from rag.source import Source
from rag.sources.bugzilla import BugzillaConfig, BugzillaSource
from rag.sources.config import SourceSection
from rag.sources.confluence import ConfluenceConfig, ConfluenceSource
from rag.sources.files import FileSource
from rag.sources.vcenter import VCenterConfig, VCenterSource
from rag.sources.web import WebConfig, WebSource

_NAME = re.compile(r"[^\W_][\w.-]*")


class FilesConfig(SourceSection):
    """Files and folders of this machine, mounted shares included."""

    kind: Literal["files"]
    paths: tuple[Path, ...] = Field(min_length=1)

    @field_validator("paths", mode="before")
    @classmethod
    def _none_empty(cls, paths: object) -> object:
        """An empty one would be the folder that the command runs in: a variable is not set."""
        if isinstance(paths, list) and any(path in ("", None) for path in paths):
            raise ValueError("one of the paths is empty: name a file or folder")
        return paths


SourceConfig = Annotated[
    FilesConfig | WebConfig | ConfluenceConfig | BugzillaConfig | VCenterConfig,
    Field(discriminator="kind"),
]


class SourcesConfig(Section):
    sources: dict[str, SourceConfig] = Field(default_factory=dict)
    """Each by a name of your choice, under which its documents are kept."""

    @field_validator("sources")
    @classmethod
    def _plain_names(cls, sources: dict[str, SourceConfig]) -> dict[str, SourceConfig]:
        for name in sources:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"'{name}' is no name: start with a letter or digit, and go on with letters, "
                    "digits, '-', '_' and '.'"
                )
        return sources


@contextmanager
def open_source(name: str, config: SourceConfig, settings: RagConfig) -> Iterator[Source]:
    """The source, until its documents are loaded; nothing is read before it is asked.

    Raises SourceError.
    """
    if isinstance(config, FilesConfig):
        most = settings.ingest.max_file_mb * 1024 * 1024
        yield FileSource(config.paths, max_bytes=most, described=config)
    elif isinstance(config, WebConfig):
        yield WebSource(config, state_dir=state_dir(name, settings))
    elif isinstance(config, ConfluenceConfig):
        with closing(ConfluenceSource(config)) as wiki:
            yield wiki
    elif isinstance(config, BugzillaConfig):
        with closing(BugzillaSource(config)) as bugs:
            yield bugs
    else:
        yield VCenterSource(config)


def state_dir(name: str, settings: RagConfig) -> Path:
    """What a source keeps between runs, beside the catalog: copies of its pages, for one."""
    return settings.data_dir / "sources" / name
