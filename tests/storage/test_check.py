"""What `darkchannel store check` proves, and that it fails where it should."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from darkchannel.config import Credentials, StoreConfig
from darkchannel.errors import StoreUnavailableError
from darkchannel.models import Check
from darkchannel.storage import check as checks
from darkchannel.storage import check_access
from darkchannel.storage.check import check_store
from darkchannel.storage.client import MinIOClient
from darkchannel.storage.objects import StoredObject
from darkchannel.storage.provision import provision
from tests.servers import free_ports, own_buckets
from tests.storage.proxy import proxied
from tests.storage.users import ADMIN, JOBS, OUTPUT, TEMP, Deployment

NAMES = [
    *("answers", "buckets", "anonymous access", "service key", "link key", "expiry"),
    *("clock", "conditional writes", "10 MB round trip", "links"),
]


@pytest.fixture(autouse=True)
def _little_and_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is no test's business, and ten megabytes for each of them would take minutes."""
    monkeypatch.setattr(checks, "ROUND_TRIP_BYTES", 300_000)
    monkeypatch.setattr(checks, "ROUND_TRIP_SECONDS", 60.0)


@pytest.fixture
def admin(deployment: Deployment) -> Iterator[MinIOClient]:
    """Who sees everything; after each test nothing may be left of it."""
    client = MinIOClient(deployment.admin)
    before = bucket_names(client)
    yield client
    left = [info.key for bucket in client.config.buckets for info in client.list(bucket)]
    assert left == []
    assert bucket_names(client) == before


@pytest.fixture
def empty(store_config: StoreConfig) -> MinIOClient:
    """A store set up with buckets of its own, seen by its administrator."""
    client = MinIOClient(own_buckets(store_config))
    list(provision(client))
    return client


def bucket_names(client: MinIOClient) -> list[str]:
    """All buckets of the server."""
    return [bucket["Name"] for bucket in client._connections.retried.list_buckets()["Buckets"]]


def failed(client: MinIOClient, **options: bool) -> dict[str, Check]:
    """The checks that do not pass, each of which has a remedy."""
    found = list(check_store(client, **options))
    assert [check.name for check in found] == NAMES
    assert all(check.detail for check in found)
    assert all(bool(check.remedy) != check.ok for check in found)
    return {check.name: check for check in found if not check.ok}


def test_a_deployment_with_a_key_for_each_service_passes(
    deployment: Deployment, admin: MinIOClient
) -> None:
    """Least privilege is enough for every check, and each says what it saw."""
    found = {
        check.name: check for check in check_store(MinIOClient(deployment.seen_by("api", "link")))
    }
    assert {name for name, check in found.items() if not check.ok} == set()
    assert found["10 MB round trip"].detail.startswith("up ")
    assert deployment.admin.endpoint in found["links"].detail
    assert "nothing else" in found["link key"].detail


def test_a_service_that_may_list_nothing_is_checked_as_well(
    deployment: Deployment, admin: MinIOClient
) -> None:
    """Whoever may not see the rules is told by its objects when they expire, by MinIO at least."""
    trouble = failed(MinIOClient(deployment.seen_by("service", "link")))
    assert set(trouble) == (set() if told_expiry(admin) else {"expiry"})


def told_expiry(admin: MinIOClient) -> bool:
    """Whether the server tells of an object when it will expire."""
    admin.put(TEMP, "x", b"x")
    told = admin.expiry_of(TEMP, "x") is not None
    admin.delete(TEMP, "x")
    return told


def test_an_administrators_key_is_pointed_out(deployment: Deployment, admin: MinIOClient) -> None:
    """Who could make a bucket should not be running jobs; the bucket made to see it is gone."""
    trouble = failed(MinIOClient(deployment.seen_by(ADMIN, "link")))
    assert set(trouble) == {"service key"}
    assert "administrator" in trouble["service key"].detail
    assert "service's own key" in trouble["service key"].remedy


def test_the_one_user_of_the_embedded_store_is_its_own(empty: MinIOClient) -> None:
    """There the same key is as it should be, and `darkchannel cleanup` may do the expiry."""
    empty.set_lifecycle_rules(empty.config.buckets.temp, [])
    assert failed(empty, own_server=True) == {}
    assert set(failed(empty)) == {"service key", "expiry"}


def test_a_bucket_made_by_the_check_goes_even_if_the_answer_was_lost(empty: MinIOClient) -> None:
    """A creation that is not acknowledged may have happened all the same."""
    before = bucket_names(empty)
    with proxied(empty.config) as (config, faults):
        faults.swallow_answers = 3  # as often as the client tries
        with pytest.raises(StoreUnavailableError):
            check_access.service_key(MinIOClient(config))
        assert faults.swallow_answers == 0
    assert bucket_names(empty) == before


@pytest.mark.parametrize(
    ("link", "acts"),
    [
        ("link-that-lists", [f"list {JOBS}", f"list {OUTPUT}"]),
        ("link-that-reads-state", [f"read {JOBS}/*/metadata.json"]),
        ("link-that-reads-takes", [f"read {TEMP}"]),
        (
            "link-that-writes",
            [f"write {JOBS}", f"write {OUTPUT}", f"delete {JOBS}", f"delete {OUTPUT}"],
        ),
        ("service", [f"read {JOBS}/*/metadata.json", f"write {JOBS}", f"read {TEMP}"]),
    ],
)
def test_a_link_key_that_can_do_more_is_named_with_what(
    deployment: Deployment, admin: MinIOClient, link: str, acts: list[str]
) -> None:
    """Whoever finds the key that signs links must not be able to use it for anything else."""
    trouble = failed(MinIOClient(deployment.seen_by("service", link)))
    assert "link key" in trouble
    assert all(act in trouble["link key"].detail for act in acts)
    assert "links" not in trouble


@pytest.mark.parametrize(
    ("link", "opens"),
    [("link-of-published-books-only", False), ("link-of-job-results-only", True), (None, False)],
)
def test_a_link_key_that_cannot_read_books_fails(
    deployment: Deployment, admin: MinIOClient, link: str | None, opens: bool
) -> None:
    """Neither a user who may read too little nor one who is unknown can sign links."""
    config = deployment.seen_by("service", link)
    if link is None:
        config = replace(config, link_credentials=Credentials("nobody", "x" * 20))
    trouble = failed(MinIOClient(config))
    assert "may not read finished books" in trouble["link key"].detail
    assert "MINIO_LINK_ACCESS_KEY" in trouble["link key"].remedy
    assert ("links" not in trouble) == opens


def test_without_a_link_key_links_are_the_services(
    deployment: Deployment, admin: MinIOClient
) -> None:
    """That is allowed, and said."""
    found = {check.name: check for check in check_store(MinIOClient(deployment.seen_by("service")))}
    assert found["link key"].ok
    assert "service key" in found["link key"].detail


@pytest.mark.parametrize(
    ("action", "resource", "words"),
    [("s3:GetObject", "/2026*", "read"), ("s3:ListBucket", "", "list")],
)
def test_a_bucket_open_to_anybody_is_named(
    empty: MinIOClient, action: str, resource: str, words: str
) -> None:
    """Even where only some of its objects can be read without a key."""
    bucket = empty.config.buckets.output
    empty.put(bucket, "2026-01-01/book.mp3", b"x")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": [action],
        "Resource": [f"arn:aws:s3:::{bucket}{resource}"],
    }
    raw = empty._connections.retried
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    raw.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    trouble = failed(empty, own_server=True)
    assert set(trouble) == {"anonymous access"}
    assert trouble["anonymous access"].detail == f"anybody may {words} {bucket}"
    raw.delete_bucket_policy(Bucket=bucket)
    assert failed(empty, own_server=True) == {}


def test_missing_buckets_are_named_and_not_made(store_config: StoreConfig) -> None:
    """A check changes nothing; its remedy says what would."""
    client = MinIOClient(own_buckets(store_config))
    buckets = client.config.buckets
    client.create_bucket(buckets.temp)
    trouble = failed(client)
    for name in (buckets.jobs, buckets.output, buckets.refs):
        assert name in trouble["buckets"].detail
        assert client.has_bucket(name) is False
    assert buckets.temp not in trouble["buckets"].detail
    assert "minio-setup.sh" in trouble["buckets"].remedy
    assert "anonymous access" not in trouble


def test_a_key_that_belongs_elsewhere_sees_no_bucket(
    deployment: Deployment, admin: MinIOClient
) -> None:
    """A user of the same server who has nothing to do with us is not taken for a service."""
    trouble = failed(MinIOClient(deployment.seen_by("stranger")))
    assert "look into none" in trouble["buckets"].detail
    assert "one of the services" in trouble["buckets"].remedy


def test_temporary_objects_that_never_expire_are_a_failed_check(empty: MinIOClient) -> None:
    """So are jobs that do, and an expiry of a part only."""
    temp, jobs = empty.config.buckets.temp, empty.config.buckets.jobs
    rules = empty.lifecycle_rules(temp)
    assert "expiry" not in failed(empty)
    empty.set_lifecycle_rules(jobs, rules)
    assert jobs in failed(empty)["expiry"].detail
    empty.set_lifecycle_rules(jobs, [])
    for wrong in (
        {"Status": "Disabled"},
        {"Filter": {"Prefix": "takes/"}},
        {"Expiration": {"Days": 7}},
    ):
        empty.set_lifecycle_rules(temp, [{**rules[0], **wrong}])
        assert "do not expire" in failed(empty)["expiry"].detail
    assert "store setup" in failed(empty)["expiry"].remedy


def test_a_longer_expiry_is_seen_by_whoever_may_not_see_rules(
    deployment: Deployment, admin: MinIOClient
) -> None:
    """What the server tells of an object has to be a day as well."""
    rules = admin.lifecycle_rules(TEMP)
    week = [{**rule, "Expiration": {"Days": 7}} for rule in rules if "Expiration" in rule]
    told = told_expiry(admin)
    admin.set_lifecycle_rules(TEMP, week)
    trouble = failed(MinIOClient(deployment.seen_by("service", "link")))
    admin.set_lifecycle_rules(TEMP, rules)
    assert ("expire after 1" in trouble["expiry"].detail) == told
    assert "minio-setup.sh" in trouble["expiry"].remedy


class Late(MinIOClient):
    """To a server whose clock is a minute behind."""

    def server_time(self) -> float:
        return super().server_time() - 60


class Careless(MinIOClient):
    """To a server that knows no conditions."""

    def put(self, *place: Any, **options: Any) -> str:
        options.pop("if_match", None)
        options.pop("if_none_match", None)
        return super().put(*place, **options)


class Garbling(MinIOClient):
    """Behind something that changes bytes."""

    def get(self, bucket: str, key: str, **options: int) -> StoredObject:
        stored = super().get(bucket, key, **options)
        return replace(stored, data=stored.data[:-1])


class Vanishing(MinIOClient):
    """To a server that goes away whenever something is read."""

    def get(self, bucket: str, key: str, **options: int) -> StoredObject:
        raise StoreUnavailableError("gone", remedy="wait")


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (Late, "clock", "-60 s"),
        (Careless, "conditional writes", "If-None-Match"),
        (Garbling, "10 MB round trip", "changed"),
        (Vanishing, "10 MB round trip", "gone"),
    ],
)
def test_a_store_that_does_not_do_what_jobs_need_fails(
    empty: MinIOClient, kind: type[MinIOClient], name: str, words: str
) -> None:
    """Each of its faults has a check that fails by it, and nothing is left behind."""
    trouble = failed(kind(empty.config), own_server=True)
    assert set(trouble) == {name}
    assert words in trouble[name].detail
    assert [info for bucket in empty.config.buckets for info in empty.list(bucket)] == []


def test_if_match_on_an_absent_object_is_noted_where_the_server_makes_one(
    deployment: Deployment, admin: MinIOClient
) -> None:
    """That MinIO does so is no fault: the client hides it, and the check says so."""
    raw = admin._connections.retried
    try:
        raw.put_object(Bucket=TEMP, Key="absent", Body=b"", IfMatch='"1"')
        creates = True
    except raw.exceptions.ClientError:
        creates = False
    admin.delete(TEMP, "absent")
    found = {check.name: check for check in check_store(admin)}
    assert found["conditional writes"].ok
    assert ("looks first" in found["conditional writes"].detail) == creates


def test_a_slow_round_trip_fails_with_its_figures(
    empty: MinIOClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten megabytes up and down have a limit each."""
    monkeypatch.setattr(checks, "ROUND_TRIP_SECONDS", 0.0)
    trouble = failed(empty, own_server=True)
    assert set(trouble) == {"10 MB round trip"}
    assert trouble["10 MB round trip"].detail.startswith("up ")


class _Generous(BaseHTTPRequestHandler):
    """Answers every link, whatever its signature."""

    body = b"written by darkchannel store check"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def test_a_public_address_that_does_not_check_signatures_fails(empty: MinIOClient) -> None:
    """A forged link must be refused where links lead."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Generous) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        public = f"http://127.0.0.1:{server.server_port}"
        trouble = failed(
            MinIOClient(replace(empty.config, public_endpoint=public)), own_server=True
        )
        server.shutdown()
    assert set(trouble) == {"links"}
    assert "forged" in trouble["links"].detail
    assert public in trouble["links"].detail


def test_a_public_address_where_nothing_answers_fails(empty: MinIOClient) -> None:
    """The remedy names the setting."""
    public = f"http://127.0.0.1:{free_ports(1)[0]}"
    trouble = failed(MinIOClient(replace(empty.config, public_endpoint=public)), own_server=True)
    assert set(trouble) == {"links"}
    assert "MINIO_ENDPOINT_EXTERNAL" in trouble["links"].remedy


def test_the_public_address_may_be_another(empty: MinIOClient) -> None:
    """Links are tried where they lead, not where this program talks to the store."""
    public = empty.config.endpoint.replace("127.0.0.1", "localhost")
    client = MinIOClient(replace(empty.config, public_endpoint=public))
    found = {check.name: check for check in check_store(client, own_server=True)}
    assert found["links"].ok
    assert public in found["links"].detail


def test_a_store_that_does_not_answer_is_asked_nothing_else() -> None:
    """One failed check, at once, instead of ten that wait."""
    config = StoreConfig(f"http://127.0.0.1:{free_ports(1)[0]}", Credentials("a", "b"))
    (only,) = check_store(MinIOClient(config))
    assert (only.name, only.ok) == ("answers", False)
    assert "MINIO_ENDPOINT" in only.remedy


def test_wrong_credentials_are_no_answer(store_config: StoreConfig) -> None:
    """A store that does not know us can prove nothing."""
    wrong = replace(store_config, credentials=Credentials("nobody", "nothing-at-all"))
    (only,) = check_store(MinIOClient(wrong))
    assert not only.ok
    assert "MINIO_ACCESS_KEY" in only.remedy
