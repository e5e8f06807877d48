"""Setting up a store by S3 alone, and working on one that somebody else has set up."""

from __future__ import annotations

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from darkchannel.composition import open_store
from darkchannel.config import Buckets, Credentials, Settings, StoreConfig
from darkchannel.errors import StoreAccessError, StoreError
from darkchannel.storage import JobManager
from darkchannel.storage.client import MinIOClient
from darkchannel.storage.provision import State, Step, expires_daily, provision
from tests.servers import own_buckets
from tests.storage.users import ADMIN, Deployment


@pytest.fixture
def client(store_config: StoreConfig) -> MinIOClient:
    """A store with nothing in it."""
    return MinIOClient(own_buckets(store_config))


@pytest.fixture
def on_minio(request: pytest.FixtureRequest, store_config: StoreConfig) -> bool:
    """Whether the server is MinIO rather than SeaweedFS."""
    name: str = request.node.callspec.params["store_config"]
    return name == "minio"


def states(steps: list[Step], words: str) -> set[State]:
    """What became of the steps that are about something."""
    return {step.state for step in steps if words in step.what}


def test_a_store_is_set_up_once(client: MinIOClient) -> None:
    """The first run makes what is missing, the second finds it and changes nothing."""
    first = list(provision(client))
    rules = {bucket: client.lifecycle_rules(bucket) for bucket in client.config.buckets}
    second = list(provision(client))
    for bucket in client.config.buckets:
        assert states(first, f"bucket {bucket}") == {State.MADE}
        assert states(second, f"bucket {bucket}") == {State.OK}
    assert states(first, "objects in") == {State.MADE}
    assert states(second, "objects in") == {State.OK}
    assert State.MADE not in {step.state for step in second}
    assert {bucket: client.lifecycle_rules(bucket) for bucket in client.config.buckets} == rules


def test_temporary_objects_expire_and_jobs_do_not(client: MinIOClient) -> None:
    """One rule over the whole of the temporary bucket; none at all on jobs."""
    list(provision(client))
    temp = client.lifecycle_rules(client.config.buckets.temp)
    assert len(list(filter(expires_daily, temp))) == 1
    assert client.lifecycle_rules(client.config.buckets.jobs) == []
    expiring = [
        bucket
        for bucket in client.config.buckets
        for rule in client.lifecycle_rules(bucket)
        if "Expiration" in rule
    ]
    assert expiring == [client.config.buckets.temp]


def test_what_s3_cannot_do_is_named_with_what_can(client: MinIOClient) -> None:
    """Each line is ok, made, or what cannot be done and where it can."""
    lines = list(map(str, provision(client)))
    assert all(line.startswith(("ok   ", "made ", "--   cannot: ")) for line in lines)
    (users,) = [line for line in lines if "users" in line]
    assert users.startswith("--   cannot: ")
    assert "scripts/minio-setup.sh" in users
    (expiry,) = [line for line in lines if "24 to 48 hours" in line]
    assert "darkchannel cleanup" in expiry


def test_unfinished_uploads_expire_where_the_server_knows_how(
    client: MinIOClient, on_minio: bool
) -> None:
    """SeaweedFS keeps such a rule; MinIO has a setting instead, which is named."""
    steps = list(provision(client))
    assert states(steps, "unfinished uploads") == {State.CANNOT if on_minio else State.MADE}
    output = client.lifecycle_rules(client.config.buckets.output)
    if on_minio:
        (step,) = [step for step in steps if "unfinished uploads" in step.what]
        assert "MINIO_API_STALE_UPLOADS_EXPIRY=24h" in step.instead
        assert output == []
    else:
        days = [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in output]
        assert days == [1]


def test_rules_of_others_are_kept(client: MinIOClient) -> None:
    """Setting up adds a rule beside those that somebody made, and mends its own."""
    temp = client.config.buckets.temp
    client.ensure_buckets()
    theirs = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": "drafts/"},
        "Expiration": {"Days": 7},
    }
    client.set_lifecycle_rules(temp, [theirs])
    list(provision(client))
    ours = next(filter(expires_daily, client.lifecycle_rules(temp)))
    client.set_lifecycle_rules(temp, [theirs, {**ours, "Expiration": {"Days": 30}}])
    list(provision(client))
    rules = client.lifecycle_rules(temp)
    assert sorted(rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule) == [1, 7]
    assert [rule["ID"] for rule in rules if rule["ID"] == "theirs"] == ["theirs"]


def test_a_rule_that_does_the_same_is_enough(client: MinIOClient) -> None:
    """Whoever made it, under whatever name: `mc ilm rule add` chooses one at random."""
    temp = client.config.buckets.temp
    client.ensure_buckets()
    theirs = {"ID": "x7", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    client.set_lifecycle_rules(temp, [{**theirs, "Filter": {"Prefix": ""}}])
    assert states(list(provision(client)), "objects in") == {State.OK}


def test_rules_on_jobs_are_reported_and_left(client: MinIOClient) -> None:
    """They were made by somebody, and delete what should stay."""
    list(provision(client))
    jobs, temp = client.config.buckets.jobs, client.config.buckets.temp
    client.set_lifecycle_rules(jobs, client.lifecycle_rules(temp)[:1])
    assert states(list(provision(client)), f"vouch for {jobs}") == {State.CANNOT}
    assert len(client.lifecycle_rules(jobs)) == 1


class _Plain(BaseHTTPRequestHandler):
    """A server of objects and nothing else."""

    def do_PUT(self) -> None:
        body = b"<Error><Code>NotImplemented</Code><Message>no</Message></Error>"
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(501)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def test_what_a_server_has_not_implemented_is_not_waited_for() -> None:
    """Status 501 is no outage: trying again later would not help."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Plain) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        config = StoreConfig(f"http://127.0.0.1:{server.server_port}", Credentials("a", "b"))
        with pytest.raises(StoreError, match="does not know how to set the lifecycle of x"):
            MinIOClient(config).set_lifecycle_rules("x", [{"ID": "y", "Status": "Enabled"}])
        server.shutdown()


def settings(config: StoreConfig) -> Settings:
    """Of a process that uses this store."""
    return Settings(data_dir=Path("unused"), store=config, buckets=config.buckets)


def test_a_service_with_a_narrow_policy_works(deployment: Deployment) -> None:
    """Who may neither create buckets nor look at one as such can still run jobs."""
    config = deployment.seen_by("service")
    client = MinIOClient(config)
    assert {client.has_bucket(bucket) for bucket in config.buckets} == {True}
    with open_store(settings(config)) as opened:
        jobs = JobManager(MinIOClient(opened))
        job_id = jobs.create_job("T", "texto")
        with jobs.acquire(job_id) as lease:
            lease.update(status="processing")
        assert jobs.read_input(job_id) == b"texto"


def test_a_link_user_may_not_know_of_buckets(deployment: Deployment) -> None:
    """Where a bucket can neither be seen nor read nothing is said of it, and nothing is made."""
    client = MinIOClient(deployment.seen_by("link"))
    buckets = client.config.buckets
    assert {client.has_bucket(bucket) for bucket in (buckets.refs, buckets.temp)} == {None}
    assert client.has_bucket(buckets.output) is True
    client.ensure_buckets()


def test_a_missing_bucket_that_may_not_be_made_is_named(deployment: Deployment) -> None:
    """The error says which one, and by what it is made."""
    config = replace(deployment.seen_by("service"), buckets=Buckets(temp="absent-bucket"))
    with (
        pytest.raises(StoreAccessError, match="no bucket absent-bucket") as caught,
        open_store(settings(config)),
    ):
        pytest.fail("it opened")
    assert "scripts/minio-setup.sh" in caught.value.remedy
    assert "darkchannel store setup" in caught.value.remedy
    assert MinIOClient(deployment.admin).has_bucket("absent-bucket") is False


def test_setting_up_without_the_right_to_is_told(deployment: Deployment) -> None:
    """A service's key sets nothing up that is missing, and is told what it may not."""
    config = deployment.seen_by("service")
    steps = list(provision(MinIOClient(config)))
    assert states(steps, "bucket darkchannel") == {State.OK}
    assert states(steps, "objects in darkchannel-temp") == {State.CANNOT}
    rules = MinIOClient(deployment.seen_by(ADMIN)).lifecycle_rules(config.buckets.temp)
    assert any(map(expires_daily, rules))
