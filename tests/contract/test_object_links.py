"""Presigned links, on each server there is."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from darkchannel.config import Credentials, StoreConfig
from darkchannel.errors import (
    SettingError,
)
from darkchannel.storage.client import MAX_LINK_SECONDS, MinIOClient


def read_all(url: str) -> bytes:
    """What anybody gets who follows a link."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        data: bytes = answer.read()
        return data


def test_a_link_opens_for_anybody(client: MinIOClient, bucket: str, prefix: str) -> None:
    """A link needs no credentials, names the file as asked, and no other object."""
    client.put(bucket, f"{prefix}/é a+b.mp3", b"audio")
    client.put(bucket, f"{prefix}/secret", b"secret")
    url = client.generate_presigned_url(
        bucket, f"{prefix}/é a+b.mp3", 60, download_name="São João.mp3"
    )
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"audio"
        assert "filename*=UTF-8''S%C3%A3o%20Jo%C3%A3o.mp3" in answer.headers["Content-Disposition"]
    assert read_all(client.generate_presigned_url(bucket, f"{prefix}/é a+b.mp3")) == b"audio"
    with pytest.raises(urllib.error.HTTPError) as refused:
        read_all(url.replace("%C3%A9%20a%2Bb.mp3", "secret"))
    assert refused.value.code == 403


def test_a_link_expires(client: MinIOClient, bucket: str, prefix: str) -> None:
    """After its time a link opens nothing."""
    client.put(bucket, f"{prefix}/x", b"x")
    url = client.generate_presigned_url(bucket, f"{prefix}/x", 1)
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError) as refused:
        read_all(url)
    assert refused.value.code == 403


@pytest.mark.parametrize("expiration", [0, -1, MAX_LINK_SECONDS + 1])
def test_the_life_of_a_link_is_bounded(
    client: MinIOClient, bucket: str, prefix: str, expiration: int
) -> None:
    """One second to seven days, as S3 has it."""
    with pytest.raises(SettingError, match=str(expiration)):
        client.generate_presigned_url(bucket, f"{prefix}/x", expiration)


def test_links_name_the_public_endpoint_and_its_own_credentials(
    store_config: StoreConfig, bucket: str, prefix: str
) -> None:
    """A link is signed for the address that browsers use, by the user that may only read."""
    config = replace(
        store_config,
        public_endpoint="https://audio.example.org",
        link_credentials=Credentials("reader", "readers-secret"),
    )
    url = MinIOClient(config).generate_presigned_url(bucket, f"{prefix}/x", 60)
    assert urlsplit(url).netloc == "audio.example.org"
    assert "X-Amz-Credential=reader%2F" in url
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert store_config.credentials.access_key not in url
