"""`configs/sources.yaml`: the places that a site's documents come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from rag.config import RagConfig, Section
from rag.source import FileSource, Source
from rag.source_bugzilla import BugzillaConfig, BugzillaSource
from rag.source_config import SourceSection
from rag.source_confluence import ConfluenceConfig, ConfluenceSource
from rag.source_vcenter import VCenterConfig, VCenterSource
from rag.source_web import WebConfig, WebSource


class FilesConfig(SourceSection):
    """Files and folders of this machine, mounted shares included."""

    kind: Literal["files"]
    paths: tuple[Path, ...] = Field(min_length=1)


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
            if not name or not all(c.isalnum() or c in "-_." for c in name):
                raise ValueError(f"'{name}' is no name: use letters, digits, '-', '_' and '.'")
        return sources


def open_source(name: str, config: SourceConfig, settings: RagConfig) -> Source:
    """The source itself; nothing is read before it is asked. Raises SourceError."""
    if isinstance(config, FilesConfig):
        most = settings.ingest.max_file_mb * 1024 * 1024
        return FileSource(config.paths, max_bytes=most, described=config)
    if isinstance(config, WebConfig):
        return WebSource(config, state_dir=settings.data_dir / "sources" / name)
    if isinstance(config, ConfluenceConfig):
        return ConfluenceSource(config)
    if isinstance(config, BugzillaConfig):
        return BugzillaSource(config)
    return VCenterSource(config)
