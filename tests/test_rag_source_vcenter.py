"""A vCenter as a source, against a simulated one with GPUs, alarms and events."""

from __future__ import annotations

import hashlib
import logging
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rag.chunk import sections
from rag.config import RagConfig, RetrieverConfig
from rag.evidence import select_quotes
from rag.ingest import ingest
from rag.knowledge import Knowledge, open_knowledge
from rag.parse import parse
from rag.retrieve import retrieve
from rag.schema import Failure, RawDocument
from rag.sentences import sentences
from rag.source import Source, within
from rag.sources.vcenter import Page, VCenterConfig, VCenterSource
from rag.sources.vcenter_gpus import (
    Gpu,
    estate_gpus,
    passthrough_devices,
    pci_address,
    profile_gb,
)
from rag.sources.vcenter_read import Estate, Event, Thing
from rag.sources.vcenter_reports import events_text, gpus_text
from rag.sources.vcenter_session import best_version
from rag.sources.vcenter_text import gpu_sentence, host_text, listed, machine_text, named, plain
from tests.fakes import PUBLIC, FakeEmbedder
from tests.vcsim import PASSWORD, VCenter, running_vcenter

pyvmomi = pytest.importorskip("pyVmomi", reason="pyvmomi is missing: make setup EXTRAS=vcenter")
vim = pyvmomi.vim

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
ESTATE = ("overview", "gpus", "networks", "alarms")


@pytest.fixture(scope="module")
def vcenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VCenter]:
    """Shared by tests that only read."""
    with running_vcenter(tmp_path_factory.mktemp("vcenter")) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[VCenter]:
    """For a test that changes it, or breaks it."""
    with running_vcenter(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def estate(vcenter: VCenter) -> dict[str, str]:
    """The text of every document, by name without the server."""
    return {name: text(document) for name, document in read(vcenter.config()).items()}


def run(config: VCenterConfig, now: datetime = NOW) -> tuple[list[RawDocument], list[Failure]]:
    source: Source = VCenterSource(config, now=lambda: now)
    items = list(source.documents())
    assert len({item.uri for item in items}) == len(items)
    found = [item for item in items if isinstance(item, RawDocument)]
    return found, [item for item in items if isinstance(item, Failure)]


def read(config: VCenterConfig, now: datetime = NOW) -> dict[str, RawDocument]:
    """By name without the server; nothing may fail."""
    found, failed = run(config, now)
    assert failed == []
    return {document.name.partition("/")[2]: document for document in found}


def text(document: RawDocument) -> str:
    return document.load().decode()


def only_failure(config: VCenterConfig) -> Failure:
    """Of the whole vCenter: nothing was seen, so nothing may be pruned."""
    found, failed = run(config)
    assert found == []
    assert len(failed) == 1
    assert failed[0].uri == f"vcenter://{config.host}:{config.port}/"
    assert PASSWORD not in failed[0].reason
    assert "\n" not in failed[0].reason
    return failed[0]


def stamps(documents: dict[str, RawDocument]) -> dict[str, str]:
    return {document.uri: document.stamp for document in documents.values()}


# What comes out


def test_every_part_of_the_estate_is_a_document(estate: dict[str, str]) -> None:
    found = estate
    assert set(ESTATE) <= set(found)
    assert {name for name in found if "/hosts/" in name} == {
        *(f"DC0/hosts/esx0{i}" for i in (1, 2, 3, 4, 5)),
        "DC1/hosts/esx09",
    }
    assert "DC0/clusters/gpu-cluster" in found
    assert "DC0/datastores/LocalDS_0" in found
    assert sum("/vms/" in name for name in found) == 12
    assert [name for name in found if name.startswith("events/")] == [
        "events/2026-11-20T11",
        "events/2026-11-20T10",
        "events/2026-11-20T09",
    ]


def test_what_a_document_says_of_itself(vcenter: VCenter) -> None:
    config = vcenter.config(groups=["ops"], product="vSphere", labels=["site:x"])
    host = read(config)["DC0/hosts/esx01"]
    server = f"localhost:{vcenter.port}"
    assert host.uri.startswith(f"vcenter://{server}/HostSystem/host-")
    assert within(host.uri, VCenterSource(config).root)
    assert host.modified == NOW
    assert host.suffix == ".md"
    assert host.groups == {"ops"}
    assert host.metadata.product == "vSphere"
    assert host.metadata.labels == ("site:x", "vcenter", "host", "gpu")
    assert host.metadata.url.startswith(f"https://{server}/ui/app/host;nav=h/urn:vmomi:HostSystem:")
    assert host.stamp == hashlib.sha256(host.load()).hexdigest()
    plainly = read(vcenter.config())
    assert plainly["DC0/hosts/esx05"].metadata.labels == ("vcenter", "host")
    assert plainly["gpus"].groups is None


def test_a_host(estate: dict[str, str]) -> None:
    told = estate["DC0/hosts/esx02"]
    for sentence in (
        "Host esx02 is an ESXi host in cluster gpu-cluster of datacenter DC0.",
        "Host esx02 is connected, powered on and not in maintenance mode.",
        "Host esx02 has 3 GPUs (3 × NVIDIA A100 PCIe 40GB), 1 of them free.",
        "- GPU NVIDIA A100 PCIe 40GB at 0000:5e:00.0 of host esx02 is in use by virtual machine "
        "train-02 (passthrough).",
        "Virtual machines running on host esx02: train-01, train-02.",
        '- Alarm "Host memory usage" on host esx02 is a warning (yellow) since 2026-11-20 11:30 '
        "UTC, not acknowledged.",
    ):
        assert sentence in told
    assert "fan status" not in told
    shared = estate["DC0/hosts/esx03"]
    assert "Host esx03 has 1 GPU (1 × NVIDIA A30), none of them free." in shared
    assert "vGPU profiles that host esx03 offers: grid_a30-12c, grid_a30-24c" in shared
    assert "(vGPU grid_a30-12c); 12 GB are left for further vGPUs." in shared
    assert "Host esx05 has no GPU." in estate["DC0/hosts/esx05"]


def test_machines_templates_clusters_and_datastores(estate: dict[str, str]) -> None:
    machine = estate["DC0/vms/train-01"]
    for sentence in (
        "Virtual machine train-01 is powered on and runs on host esx02 in cluster gpu-cluster of "
        "datacenter DC0.",
        "Virtual machine train-01 has 4 virtual CPUs and 16 GB of memory.",
        "Virtual machine train-01 uses GPU NVIDIA A100 PCIe 40GB at 0000:3b:00.0 of host esx02.",
        "guest operating system Ubuntu Linux (64-bit).",
        "Virtual machine train-01 has the IP address 10.0.0.16",
        "Networks of virtual machine train-01: DC0_DVPG0.",
        'Alarm "Virtual machine CPU usage" on virtual machine train-01',
        "- Managed object: vm-",
    ):
        assert sentence in machine
    assert "uses vGPU grid_a30-12c of GPU NVIDIA A30" in estate["DC0/vms/infer-01"]
    assert "passthrough of any matching PCI device" in estate["DC0/vms/parked-01"]
    assert "Template ubuntu-golden is a template in cluster" in estate["DC0/vms/ubuntu-golden"]
    assert "DC0_H0_VM0 has no GPU." in estate["DC0/vms/DC0_H0_VM0"]
    cluster = estate["DC0/clusters/gpu-cluster"]
    for sentence in (
        "Cluster gpu-cluster is in datacenter DC0.",
        "Hosts of cluster gpu-cluster: esx01, esx02, esx03, esx04.",
        "Cluster gpu-cluster has DRS (distributed resource scheduler) enabled (fullyAutomated).",
        "Cluster gpu-cluster has HA (high availability) enabled.",
        "Cluster gpu-cluster has EVC mode intel-icelake.",
        "Cluster gpu-cluster has 6 GPUs, 2 of them free.",
    ):
        assert sentence in cluster
    store = estate["DC0/datastores/LocalDS_0"]
    assert "is a VMFS datastore of 4 TB, of which about 25 % (1 TB) is free." in store
    assert "manages 6 hosts and 11 virtual machines" in estate["overview"]


def test_alarms_come_worst_first(estate: dict[str, str]) -> None:
    told = estate["alarms"]
    assert "has 3 triggered alarms." in told
    alarms = [line for line in told.splitlines() if line.startswith("- ")]
    assert [line.split('"')[1] for line in alarms] == [
        "Host hardware fan status",
        "Virtual machine CPU usage",
        "Host memory usage",
    ]
    assert "critical (red) since 2026-11-20 10:30 UTC, acknowledged by VSPHERE.LOCAL\\anna." in told


# Free GPUs: the question that the page is written for


def test_the_gpu_page_names_what_is_free_apart_from_what_is_not(estate: dict[str, str]) -> None:
    told = estate["gpus"]
    free = told.partition("## Free NVIDIA A100 GPUs\n")[2].partition("##")[0]
    assert "2 of 5 NVIDIA A100 GPUs are free." in free
    assert "esx01 (1 × PCIe 40GB, in cluster gpu-cluster of datacenter DC0)" in free
    assert "esx02 (1 × PCIe 40GB" in free
    assert "esx03" not in free
    assert "esx04" not in free
    assert "passthrough is enabled but takes effect after a reboot of the host" in told
    assert "No NVIDIA A30 is free: there is 1 NVIDIA A30 GPU" in told
    assert "Hosts with room for a vGPU on a shared NVIDIA A30: esx03 (12 of 24 GB)." in told
    assert "neither passthrough nor vGPU is enabled for it." in told
    assert "Matrox" not in told
    assert "has 7 GPUs in 5 hosts." in told, "virtual functions are no boards"


QUESTIONS = [
    "Which hosts have a free A100?",
    "where is a free NVIDIA A100",
    "Is there an A100 GPU free on any host?",
    "How many A100 GPUs are free?",
]


@pytest.fixture(scope="module")
def by_words(vcenter: VCenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    """The whole estate, searched by words."""
    found, _ = run(vcenter.config())
    yield from in_a_knowledge_base(tmp_path_factory.mktemp("words"), found, FakeEmbedder())


@pytest.fixture(scope="module")
def hybrid(
    vcenter: VCenter, tmp_path_factory: pytest.TempPathFactory, embedder: Any
) -> Iterator[Knowledge]:
    """Its GPUs and hosts, searched with the embedded model as well."""
    found, _ = run(vcenter.config(include=["gpus", "hosts"]))
    yield from in_a_knowledge_base(tmp_path_factory.mktemp("hybrid"), found, embedder)


def in_a_knowledge_base(
    folder: Path, found: list[RawDocument], embedder: Any
) -> Iterator[Knowledge]:
    mode: Any = "lexical" if isinstance(embedder, FakeEmbedder) else "hybrid"
    config = RagConfig(data_dir=folder, retriever=RetrieverConfig(mode=mode))
    knowledge = open_knowledge(config, embedder)
    report = ingest(knowledge, found, PUBLIC)
    assert report.failures == []
    yield knowledge
    knowledge.close()


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("searched", ["by_words", "hybrid"])
def test_a_question_for_free_gpus_finds_the_passage_with_exactly_those(
    question: str, searched: str, request: pytest.FixtureRequest
) -> None:
    hits = retrieve(request.getfixturevalue(searched), question, PUBLIC, 4)
    assert hits[0].heading_path[-1] == "Free NVIDIA A100 GPUs"
    assert "2 of 5 NVIDIA A100 GPUs are free." in hits[0].text
    assert {f"esx0{i}" for i in range(10) if f"esx0{i}" in hits[0].text} == {"esx01", "esx02"}


def test_a_question_for_free_gpus_is_answered_by_one_sentence(hybrid: Knowledge) -> None:
    hits = retrieve(hybrid, QUESTIONS[0], PUBLIC, 4)
    best = select_quotes(QUESTIONS[0], hits, hybrid.embedder, 1)[0]
    assert best.passage == 0
    assert "esx01" in best.text
    assert "esx02" in best.text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("On which host does infer-01 run?", "infer-01 is powered on and runs on host esx03"),
        ("Why is the A100 of esx04 not ready?", "takes effect after a reboot of the host"),
        ("Which alarms are critical?", "Host hardware fan status"),
        ("Is HA enabled in gpu-cluster?", "HA (high availability) enabled"),
        ("What errors happened on 2026-11-20?", "Host esx04 lost power redundancy"),
        ("What is vm-84?", "Managed object: vm-84"),
    ],
)
def test_other_questions(question: str, answer: str, by_words: Knowledge) -> None:
    assert any(answer in hit.text for hit in retrieve(by_words, question, PUBLIC, 3))


def test_who_takes_and_who_gives_back_a_gpu(own: VCenter) -> None:
    before = read(own.config())
    own.command("power", "train-02", "poweredOff")  # bound at power-on: nobody's now
    own.command("power", "train-01", "poweredOff")  # fixed: still meant for it
    after = read(own.config())
    told = text(after["gpus"])
    assert "2 of 5 NVIDIA A100 GPUs are free." in text(before["gpus"])
    assert "3 of 5 NVIDIA A100 GPUs are free." in told
    assert "esx02 (2 × PCIe 40GB" in told
    assert "of host esx02 is reserved for train-01, which is not powered on." in told
    assert "Virtual machine train-01 has reserved GPU" in text(after["DC0/vms/train-01"])
    own.command("maintenance", "esx01", "true")
    own.command("host", "esx02", "notResponding")
    told = text(read(own.config())["gpus"])
    assert "No NVIDIA A100 is free: there are 5 NVIDIA A100 GPUs, none of them free." in told
    assert "of host esx01 is not ready: the host is in maintenance mode." in told
    assert "of host esx02 is not ready: the host does not respond." in told
    assert "Hosts of vCenter localhost that cannot start virtual machines: esx01 is in" in text(
        read(own.config())["overview"]
    )


# Stamps


def test_an_estate_at_rest_gives_the_same_stamps(own: VCenter) -> None:
    first = read(own.config())
    own.command("cpu", "esx01", "1001")
    again = read(own.config(), NOW + timedelta(minutes=5))
    assert stamps(again) == stamps(first)
    assert again["gpus"].modified == NOW + timedelta(minutes=5)


def test_what_changes_changes_its_own_stamps_alone(own: VCenter) -> None:
    first = stamps(read(own.config()))
    own.command("cpu", "esx01", "4500")
    second = stamps(read(own.config()))
    assert first.keys() == second.keys()
    changed = [uri for uri in first if first[uri] != second[uri]]
    assert len(changed) == 1
    assert "/HostSystem/" in changed[0]


def test_a_renamed_machine_keeps_its_uri(own: VCenter) -> None:
    before = read(own.config())["DC0/vms/train-01"]
    own.command("rename", "train-01", "train%2fone")
    after = read(own.config())
    renamed = after["DC0/vms/train-one"]
    assert renamed.uri == before.uri
    assert renamed.stamp != before.stamp
    assert "Virtual machine train/one" in text(renamed).replace('"', "")


# Large estates, small rights


def test_pages_make_no_difference(vcenter: VCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stamps(read(vcenter.config()))
    vcenter.calls()
    monkeypatch.setattr("rag.sources.vcenter_session.PAGE", 5)
    assert stamps(read(vcenter.config())) == whole
    assert vcenter.calls()["ContinueRetrievePropertiesEx"] >= 6


def test_a_large_estate_takes_a_handful_of_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.sources.vcenter_session.PAGE", 100)
    with running_vcenter(tmp_path, "-machines", "100") as large:
        found = read(large.config())
        calls = large.calls()
    assert sum("/vms/" in name for name in found) == 200
    assert sum(calls.values()) <= 30, calls
    assert calls["RetrievePropertiesEx"] + calls["ContinueRetrievePropertiesEx"] <= 6
    assert calls["Logout"] == 1


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("hardware.pciDevice", "vCenter does not say which GPUs host esx01 has."),
        ("config.pciPassthruInfo", "the account may not read how it is set up"),
        ("config.graphicsInfo", "Host esx01 has 1 GPU"),
        ("config.hardware", "Host esx01 has 1 GPU"),
        ("config.product", "Host esx01 is connected"),
        ("summary.hardware", "Host esx01 runs VMware ESXi"),
        ("runtime.host", "Host esx01 runs 0 virtual machines."),
        ("config.instanceUuid", "Host esx01 has 1 GPU"),
        ("summary", "Host esx01 has 1 GPU"),
    ],
)
def test_what_the_account_may_not_read_is_left_out(vcenter: VCenter, path: str, told: str) -> None:
    everything = read(vcenter.config())
    vcenter.command("hide", path)
    try:
        found = read(vcenter.config())
    finally:
        vcenter.command("show")
    assert set(found) == set(everything)
    assert told in text(found["DC0/hosts/esx01"])
    assert "None" not in "".join(map(text, found.values()))


def test_names_that_are_hidden_give_way_to_ids(own: VCenter) -> None:
    own.command("hide", "name")
    found, failed = run(own.config(include=["hosts", "vms", "clusters"]))
    assert failed == []
    assert all(document.name.rpartition("/")[2] for document in found)
    assert any("Host host-" in text(document) for document in found)


def test_refused_alarms_and_events_cost_themselves_alone(own: VCenter) -> None:
    own.command("hide", "triggeredAlarmState")
    own.command("fault", "CreateCollectorForEvents", "NoPermission")
    found, failed = run(own.config())
    root = f"vcenter://localhost:{own.port}/"
    assert [failure.uri for failure in failed] == [root + "estate/alarms", root + "estate/events/"]
    assert "read-only role" in failed[0].reason
    assert "NoPermission" in failed[1].reason
    names = {document.name.partition("/")[2] for document in found}
    assert "gpus" in names
    assert "alarms" not in names


def test_an_account_that_sees_nothing_prunes_nothing(tmp_path: Path) -> None:
    with running_vcenter(tmp_path, "-empty") as bare:
        assert "sees no datacenter" in only_failure(bare.config()).reason


def test_only_some_datacenters(vcenter: VCenter) -> None:
    found = read(vcenter.config(datacenters=["dc1"]))
    assert {name for name in found if "/" in name} == {"DC1/hosts/esx09"}
    assert "has 1 GPU in 1 host." in text(found["gpus"])
    assert "has 0 triggered alarms." in text(found["alarms"])
    assert found["gpus"].uri.endswith("/estate/dc1/gpus")
    both = read(vcenter.config(datacenters=["DC0", "DC1"]))
    assert both.keys() == read(vcenter.config()).keys()
    assert "has 3 triggered alarms." in text(both["alarms"])


def test_a_datacenter_that_is_not_there_keeps_everything(vcenter: VCenter) -> None:
    found, failed = run(vcenter.config(datacenters=["DC1", "DC7"]))
    assert len(failed) == 1
    assert failed[0].uri == f"vcenter://localhost:{vcenter.port}/"
    assert failed[0].reason == "no datacenter is named dc7; there are: DC0, DC1"
    assert any(document.name.endswith("/esx09") for document in found)


def test_include_chooses_the_documents(vcenter: VCenter) -> None:
    assert set(read(vcenter.config(include=["gpus"]))) == {"gpus"}
    vcenter.calls()
    assert len(read(vcenter.config(include=["clusters", "datastores"]))) == 2
    assert "CreateCollectorForEvents" not in vcenter.calls()


# Events


def test_events_by_hour_errors_first(estate: dict[str, str]) -> None:
    told = estate["events/2026-11-20T11"]
    parts = [line for line in told.splitlines() if line.startswith("#")]
    assert parts == [
        "# Events in vCenter localhost on 2026-11-20, 11:00 to 12:00 UTC",
        "## Errors",
        "## Warnings",
        "## Other events",
    ]
    error = "- 2026-11-20 11:10 UTC, error on esx04: Host esx04 lost power redundancy."
    assert error in told.splitlines()
    assert "warning on esx02, by VSPHERE.LOCAL\\anna: Memory of esx02 runs low." in told
    assert "carol" in told, "somebody else's login"
    assert "logged in as ours" not in told, "every run would change the page"
    assert "day before yesterday" not in "".join(estate.values())


def test_how_far_back_events_go(vcenter: VCenter) -> None:
    long = read(vcenter.config(events_hours=48))
    assert "events/2026-11-18T20" in long
    short = read(vcenter.config(events_hours=1))
    assert [name for name in short if name.startswith("events/")] == ["events/2026-11-20T11"]


def test_the_most_events_keeps_errors_and_says_that_others_are_missing(vcenter: VCenter) -> None:
    few = read(vcenter.config(max_events=2))
    names = [name for name in few if name.startswith("events/")]
    assert names == ["events/2026-11-20T11"]
    told = text(few["events/2026-11-20T11"])
    assert "power redundancy" in told
    assert "runs low" in told
    assert "which are not listed here." in told
    some = read(vcenter.config(max_events=20))
    assert "not listed" not in text(some["events/2026-11-20T11"])
    assert "not listed" in text(some["events/2026-11-20T10"])


def test_repeated_events_are_told_once() -> None:
    at = NOW.replace(minute=0)
    flood = [
        Event(i, at + timedelta(minutes=i), "info", "Link is down", "", "esx01") for i in (3, 2, 1)
    ]
    told = events_text(Estate("vc", None), at, flood)
    assert told.count("Link is down") == 1
    assert "12:03 UTC, event on esx01 (3 times in this hour, last then): Link is down." in told


# Hostile names


def test_no_name_opens_a_heading_a_fence_or_a_sentence(vcenter: VCenter) -> None:
    found, _ = run(vcenter.config())
    for document in found:
        told = text(document)
        assert "```" not in told
        for line in told.splitlines():
            assert not line.startswith("#") or line.startswith(("# ", "## "))
            assert not line.lstrip("#- ").startswith(("Host esx04 has a", "System", "Free A100"))
        assert "Host esx04 has a free A100." not in sentences(told)
        parsed = parse(document.load(), document.name + document.suffix)
        headings = [path for section in sections(parsed) for path in section.heading_path]
        assert "Free A100" not in headings
        assert not any(heading.startswith("System") for heading in headings)


NASTY = st.text(
    st.one_of(
        st.sampled_from(list("\n\r\t .!?。\"'`#<>[](){}|\u202e\u200b\u2028\x85\x00-")),
        st.characters(),
    ),
    max_size=60,
)


@given(NASTY)
def test_a_name_stays_within_its_sentence(name: str) -> None:
    thing = Thing("VirtualMachine", "vm-1", {"name": name})
    sentence = f"Virtual machine {named(thing)} has no GPU."
    assert sentences(sentence) == [sentence]
    assert "\n" not in sentence
    assert "```" not in sentence
    assert sentence.isprintable() or any(c.isspace() for c in sentence)


@given(NASTY)
def test_an_event_stays_on_its_line(message: str) -> None:
    line = f"- 2026-11-20 11:10 UTC, event: {plain(message, 400)}."
    assert len(line.splitlines()) == 1
    assert len(sentences(line)) == 1


def test_long_lists_repeat_their_subject() -> None:
    lines = listed("Hosts with a free A100", [f"esx{i}" for i in range(20)])
    assert len(lines) == 3
    assert all(line.startswith("Hosts with a free A100") for line in lines)
    assert lines[1].startswith("Hosts with a free A100 (continued): esx8, ")
    assert all(line.endswith(".") for line in lines)
    assert listed("Nothing", []) == []


# Faults


def test_a_wrong_password(vcenter: VCenter) -> None:
    failure = only_failure(vcenter.config(password="wrong"))
    assert failure.reason.startswith("refuses user reader@vsphere.local: check user")
    assert "wrong" not in failure.reason


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_untrusted_certificate_is_refused_at_localhost_too(vcenter: VCenter, host: str) -> None:
    vcenter.calls()
    failure = only_failure(vcenter.config(host=host, ca_file=""))
    assert "cannot be verified (self" in failure.reason
    assert "set ca_file" in failure.reason
    assert vcenter.calls() == {}, "nothing was said, the password least of all"
    assert len(run(vcenter.config(host=host))[0]) > 20


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    with running_vcenter(tmp_path, "-names", "vcenter.example.com") as other:
        failure = only_failure(other.config())
        assert "Hostname mismatch" in failure.reason
        assert "host to a name in the certificate" in failure.reason
        assert other.calls() == {}


def test_verification_can_be_turned_off_but_not_silently(
    vcenter: VCenter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="rag.sources.vcenter_session"):
        found, failed = run(vcenter.config(ca_file="", verify_tls=False))
    assert found
    assert failed == []
    assert "the certificate of localhost is not verified" in caplog.text


def test_a_missing_or_broken_ca_file(vcenter: VCenter, tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("no certificate")
    for path in (tmp_path / "none.pem", tmp_path / "broken.pem"):
        reason = only_failure(vcenter.config(ca_file=str(path))).reason
        assert reason.startswith(f"ca_file {path} cannot be read")


def test_nobody_there(vcenter: VCenter) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        failure = only_failure(vcenter.config(port=free.getsockname()[1]))
    assert "cannot be reached" in failure.reason
    assert "check host, port and network" in failure.reason
    unknown = only_failure(vcenter.config(host="nobody.invalid"))
    assert "cannot be reached" in unknown.reason


@pytest.mark.parametrize(
    ("method", "fault", "told"),
    [
        ("RetrieveServiceContent", "html", "did not answer as a vCenter does"),
        ("RetrieveServiceContent", "busy", "503"),
        ("RetrieveServiceContent", "close", "broke off"),
        ("Login", "half", "did not answer as a vCenter does"),
        ("RetrievePropertiesEx", "half", "did not answer as a vCenter does"),
        ("RetrievePropertiesEx", "NotAuthenticated", "ended the session"),
        ("ContinueRetrievePropertiesEx", "half", "did not answer as a vCenter does"),
        ("RetrievePropertiesEx", "html", "a sign-in page answers so too"),
        ("Login", "html", "did not answer as a vCenter does"),
        ("CreateContainerView", "html", "did not answer as a vCenter does"),
        ("Fetch", "html", "did not answer as a vCenter does"),
        ("ReadPreviousEvents", "html", "did not answer as a vCenter does"),
        ("ContinueRetrievePropertiesEx", "busy", "try again later"),
        ("ContinueRetrievePropertiesEx", "NotAuthenticated", "ended the session"),
        ("ContinueRetrievePropertiesEx", "html", "did not answer as a vCenter does"),
        ("CreateCollectorForEvents", "close", "broke off"),
        ("CreateCollectorForEvents", "NotAuthenticated", "ended the session"),
        ("ReadPreviousEvents", "half", "did not answer as a vCenter does"),
    ],
)
def test_half_an_estate_is_none(
    vcenter: VCenter, monkeypatch: pytest.MonkeyPatch, method: str, fault: str, told: str
) -> None:
    monkeypatch.setattr("rag.sources.vcenter_session.PAGE", 5)
    vcenter.command("fault", method, fault)
    assert told in only_failure(vcenter.config()).reason
    assert len(run(vcenter.config())[0]) > 20, "the next run is whole again"


@pytest.mark.parametrize("method", ["Login", "ContinueRetrievePropertiesEx"])
def test_a_vcenter_that_is_killed(
    own: VCenter, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr("rag.sources.vcenter_session.PAGE", 5)
    own.command("fault", method, "exit")
    assert "broke off" in only_failure(own.config()).reason
    assert "cannot be reached" in only_failure(own.config()).reason


def test_a_logout_that_fails_costs_nothing(own: VCenter) -> None:
    own.command("fault", "Logout", "exit")
    assert len(run(own.config())[0]) > 20


def test_a_vcenter_that_keeps_silent(own: VCenter) -> None:
    own.command("fault", "RetrievePropertiesEx", "hang")
    failure = only_failure(own.config(timeout_s=0.3))
    assert "did not answer within 0.3 s" in failure.reason
    assert "raise timeout_s" in failure.reason


def test_an_older_vcenter_is_not_asked_for_what_it_does_not_know(tmp_path: Path) -> None:
    with running_vcenter(tmp_path, "-api", "6.7.3") as older:
        assert "3 of 5 NVIDIA A100 GPUs are free." in text(read(older.config())["gpus"])


def test_too_old_a_vcenter(tmp_path: Path) -> None:
    with running_vcenter(tmp_path, "-api", "6.5") as old:
        assert "vSphere 6.7 or newer is needed" in only_failure(old.config()).reason


def test_the_newest_version_that_both_know() -> None:
    from pyVmomi.VmomiSupport import versionIdMap

    assert best_version(versionIdMap, "8.0.2.0") == "vim.version.v8_0_2_0"
    assert best_version(versionIdMap, "8.0.2.9") == "vim.version.v8_0_2_0"
    assert best_version(versionIdMap, "6.7.3") == "vim.version.version15"
    assert best_version(versionIdMap, "99.0") == "vim.version.v9_1_1_0"


def test_pyvmomi_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyVmomi", None)
    config = VCenterConfig(kind="vcenter", host="vc", user="u", password="p")
    (failure,) = VCenterSource(config).documents()
    assert isinstance(failure, Failure)
    assert failure.uri == "vcenter://vc/"
    assert "make setup EXTRAS=vcenter" in failure.reason


def test_a_page_that_cannot_be_written_costs_itself_alone() -> None:
    config = VCenterConfig(kind="vcenter", host="vc", user="u", password="p")

    def write() -> str:
        raise KeyError("odd data")

    item = VCenterSource(config)._document(Page("estate/x", "vc/x", (), write), NOW)
    assert item == Failure(
        "vcenter://vc/estate/x", "vc/x", "cannot be described: KeyError: 'odd data'"
    )


def test_odd_data_is_a_failure_and_never_raised(
    vcenter: VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estate_gpus(estate: Estate) -> list[Gpu]:
        raise TypeError("odd\ndata")

    monkeypatch.setattr("rag.sources.vcenter.estate_gpus", estate_gpus)
    assert only_failure(vcenter.config()).reason == "reading failed: TypeError: odd data"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"host": "https://vc/"}, "give the name or address alone"),
        ({"host": ""}, "at least 1 character"),
        ({"password": ""}, "at least 1 item"),
        ({"include": ["hots"]}, "'hosts'"),
        ({"events_hours": 0}, "greater than or equal to 1"),
        ({"verify": False}, "Extra inputs"),
        ({"groups": []}, "name a group"),
    ],
)
def test_configuration_mistakes(changes: dict[str, Any], told: str) -> None:
    good = {"kind": "vcenter", "host": "VC.Example.com", "user": "u", "password": "s3cret"}
    config = VCenterConfig.model_validate(good)
    assert config.host == "vc.example.com"
    assert "s3cret" not in repr(config)
    with pytest.raises(ValidationError, match=told):
        VCenterConfig.model_validate(good | changes)


# GPUs, without a server


def pci(address: str, device: int = 0x20F1, vendor: int = 0x10DE, **more: Any) -> Any:
    def signed(number: int) -> int:
        return number - 0x10000 if number >= 0x8000 else number

    given: dict[str, Any] = {"classId": 0x0302, "deviceName": "", "vendorName": ""} | more
    return vim.host.PciDevice(id=address, deviceId=signed(device), vendorId=signed(vendor), **given)


def esx(devices: list[Any], name: str = "esx", **properties: Any) -> Thing:
    given = {path.replace("__", "."): value for path, value in properties.items()}
    return Thing("HostSystem", name, {"name": name, "hardware.pciDevice": devices} | given)


def machine(name: str, host: str, *backings: Any, power: str = "poweredOn") -> Thing:
    devices = [
        vim.vm.device.VirtualPCIPassthrough(key=13000 + i, backing=backing)
        for i, backing in enumerate(backings)
    ]
    hardware = SimpleNamespace(device=devices, numCPU=1, memoryMB=1024)
    properties = {"name": name, "config.hardware": hardware, "runtime.powerState": power}
    return Thing("VirtualMachine", name, properties | {"runtime.host": vim.HostSystem(host)})


def passthru(address: str, *, active: bool = True, enabled: bool = True) -> Any:
    info = vim.host.PciPassthruInfo
    return info(id=address, passthruCapable=True, passthruEnabled=enabled, passthruActive=active)


def graphics(address: str, *users: str) -> Any:
    info = vim.host.GraphicsInfo(
        pciId=address, graphicsType="sharedDirect", memorySizeInKB=24 << 20
    )
    info.vm = [vim.VirtualMachine(user) for user in users]
    return info


def boards(*things: Thing) -> list[Gpu]:
    return estate_gpus(Estate("vc", None, {thing.id: thing for thing in things}))


def test_pci_addresses_of_all_forms() -> None:
    assert pci_address("00000:059:00.0") == "0000:3b:00.0"
    assert pci_address("0000:3B:00.0") == "0000:3b:00.0"
    assert pci_address("3b:00.0") == "0000:3b:00.0"
    assert pci_address("pciPassthru:0001:af:1f.7") == "0001:af:1f.7"
    assert pci_address("odd") == "odd"


def test_profile_sizes() -> None:
    assert profile_gb("grid_a30-12c") == 12
    assert profile_gb("nvidia_a100-1-5cme") == 5
    assert profile_gb("grid_a100dx-80C") == 80
    assert profile_gb("mxgpu") == 0


def test_what_counts_as_a_gpu() -> None:
    devices = [
        pci("0000:03:00.0", 0x0536, 0x102B, classId=0x0300),  # Matrox
        pci("0000:04:00.0", 0x515E, 0x1002, classId=0x0300),  # ES1000
        pci("0000:00:02.0", 0x4680, 0x8086, classId=0x0300),  # in the CPU
        pci("0000:3b:00.1", 0x228E, classId=0x0403),  # the sound of a GPU
        pci("0000:5e:00.0", 0x1234, 0x15B3, classId=0x0200),  # a network card
        pci("0000:af:00.0", 0x56C0, 0x8086, classId=0x0380, deviceName="Flex 170"),
        pci("0000:b0:00.0", 0x74A1, 0x1002, classId=0x1200, deviceName="[Instinct MI300X]"),
        pci("0000:b1:00.0", 0x2230, deviceName="GA102GL [RTX A6000]"),
        pci("0000:b2:00.0", 0x9999, deviceName="Unknown"),
        pci("0000:b3:00.0", 0xA0A0, deviceName="NVIDIA Something New"),
    ]
    assert [gpu.model for gpu in boards(esx(devices))] == [
        "AMD Instinct MI300X",
        "Intel Flex 170",
        "NVIDIA GPU 9999",
        "NVIDIA RTX A6000",
        "NVIDIA Something New",
    ]


@pytest.mark.parametrize(
    ("properties", "state", "why"),
    [
        ({"config__pciPassthruInfo": [passthru("0000:3b:00.0")]}, "free", "passthrough"),
        (
            {"config__pciPassthruInfo": [passthru("0000:3b:00.0", active=False)]},
            "not ready",
            "after a reboot",
        ),
        (
            {"config__pciPassthruInfo": [passthru("0000:3b:00.0", active=False, enabled=False)]},
            "not ready",
            "neither passthrough nor vGPU",
        ),
        ({}, "not ready", "does not report it as capable"),
        ({"config__graphicsInfo": [graphics("0000:3b:00.0")]}, "not ready", "no vGPU profile"),
        (
            {
                "config__graphicsInfo": [graphics("0000:3b:00.0")],
                "config__sharedPassthruGpuTypes": ["grid_a100-40c"],
            },
            "free",
            "ready for vGPU",
        ),
        (
            {
                "config__pciPassthruInfo": [passthru("0000:3b:00.0")],
                "runtime__connectionState": "disconnected",
            },
            "not ready",
            "the host is disconnected",
        ),
        (
            {
                "config__pciPassthruInfo": [passthru("0000:3b:00.0")],
                "runtime__powerState": "standBy",
            },
            "not ready",
            "the host is not powered on",
        ),
    ],
)
def test_states(properties: dict[str, Any], state: str, why: str) -> None:
    (gpu,) = boards(esx([pci("0000:3b:00.0")], **properties))
    assert gpu.state == state
    assert why in gpu.why


def test_a_dynamic_device_without_an_address_takes_one_that_fits() -> None:
    """Counting both boards as free would promise one too many."""
    backing = vim.vm.device.VirtualPCIPassthrough.DynamicBackingInfo(deviceName="")
    allowed = vim.vm.device.VirtualPCIPassthrough.AllowedDevice(vendorId=0x10DE, deviceId=0x20F1)
    backing.allowedDevice = [allowed]
    addresses = ["0000:3b:00.0", "0000:5e:00.0", "0000:af:00.0"]
    devices = [pci(addresses[0]), pci(addresses[1]), pci(addresses[2], 0x20B7)]
    infos = [passthru(address) for address in addresses]
    found = boards(
        esx(devices, config__pciPassthruInfo=infos),
        machine("a", "esx", backing),
        machine("off", "esx", backing, power="poweredOff"),
    )
    assert [(gpu.family, gpu.state) for gpu in found] == [
        ("NVIDIA A100", "in use"),
        ("NVIDIA A100", "free"),
        ("NVIDIA A30", "free"),
    ]
    assert "by virtual machine a (passthrough), as far as vCenter tells." in gpu_sentence(found[0])


def test_a_binding_tells_which_board_a_dynamic_device_has() -> None:
    backing = vim.vm.device.VirtualPCIPassthrough.DynamicBackingInfo(deviceName="")
    addresses = ["0000:3b:00.0", "0000:5e:00.0"]
    binding = vim.host.AssignableHardwareBinding(
        instanceId="pciPassthru:0000:5e:00.0", vm=vim.VirtualMachine("a")
    )
    found = boards(
        esx(
            [pci(address) for address in addresses],
            config__pciPassthruInfo=[passthru(address) for address in addresses],
            config__assignableHardwareBinding=[binding],
        ),
        machine("a", "esx", backing),
    )
    assert [gpu.state for gpu in found] == ["free", "in use"]
    assert all(use.certain for use in found[1].uses)


def test_vgpus_share_a_board_and_say_what_is_left() -> None:
    def slice_of(profile: str) -> Any:
        return vim.vm.device.VirtualPCIPassthrough.VmiopBackingInfo(vgpu=profile)

    host = esx(
        [pci("0000:3b:00.0", 0x20B7)],
        config__graphicsInfo=[graphics("0000:3b:00.0", "a", "b")],
        config__sharedPassthruGpuTypes=["grid_a30-6c"],
    )
    machines = [machine(name, "esx", slice_of("grid_a30-6c")) for name in ("a", "b")]
    stray = machine("c", "esx", slice_of("grid_a30-4c"))  # the host does not list it
    (gpu,) = boards(host, *machines, stray)
    assert gpu.state == "in use"
    assert gpu.left_gb == 24 - 6 - 6 - 4
    estate = Estate("vc", None, {thing.id: thing for thing in (host, *machines, stray)})
    assert "8 of 24 GB" in gpus_text(estate, [gpu])
    assert "uses vGPU grid_a30-6c of GPU NVIDIA A30" in machine_text(estate, machines[0], [gpu])


def test_a_fixed_device_on_another_host_is_not_this_hosts() -> None:
    backing = vim.vm.device.VirtualPCIPassthrough.DeviceBackingInfo(
        id="0000:3b:00.0", deviceId="20f1", systemId="", vendorId=0x10DE, deviceName=""
    )
    here, there = (
        esx([pci("0000:3b:00.0")], name, config__pciPassthruInfo=[passthru("0000:3b:00.0")])
        for name in ("here", "there")
    )
    found = boards(here, there, machine("a", "there", backing))
    assert [(gpu.host.name, gpu.state) for gpu in found] == [("here", "free"), ("there", "in use")]


def test_other_devices_of_a_machine_are_no_passthrough() -> None:
    disk = vim.vm.device.VirtualDisk(key=1, backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo())
    bare = vim.vm.device.VirtualKeyboard(key=2)
    thing = Thing("VirtualMachine", "a", {"config.hardware": SimpleNamespace(device=[disk, bare])})
    assert list(passthrough_devices(thing)) == []
    assert list(passthrough_devices(Thing("VirtualMachine", "b", {}))) == []


def test_a_host_of_which_nothing_is_known() -> None:
    host = Thing("HostSystem", "host-1", {"name": "bare"})
    told = host_text(Estate("vc", None, {host.id: host}), host, [])
    assert "vCenter does not say which GPUs host bare has." in told
    assert "Host bare is an ESXi host in vCenter." in told
    page = gpus_text(Estate("vc", None, {host.id: host}), [])
    assert "Hosts of which vCenter does not say what GPUs they have: bare." in page
