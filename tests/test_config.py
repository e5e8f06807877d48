"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkchannel.config import Buckets, Credentials, Settings
from darkchannel.errors import SettingError

STORE = {
    "MINIO_ENDPOINT": "http://minio:9000/",
    "MINIO_ACCESS_KEY": "key",
    "MINIO_SECRET_KEY": "secret",
}


def test_nothing_set_means_the_embedded_store() -> None:
    """With an empty environment the data directory is the platform's and the store embedded."""
    settings = Settings.from_environment({"HOME": "/home/somebody"})
    assert settings.store is None
    assert settings.buckets == Buckets()
    assert settings.data_dir.name == "darkchannel"


def test_a_store_is_described_by_its_usual_names() -> None:
    """MINIO_* names describe the store, its public address and its buckets."""
    settings = Settings.from_environment(
        STORE
        | {
            "MINIO_ENDPOINT_EXTERNAL": "https://s3.example.org",
            "MINIO_REGION": "sa-east-1",
            "MINIO_BUCKET_JOBS": "jobs",
        }
    )
    assert settings.store is not None
    assert settings.store.endpoint == "http://minio:9000"
    assert settings.store.public_endpoint == "https://s3.example.org"
    assert settings.store.region == "sa-east-1"
    assert list(settings.store.buckets) == [
        "jobs",
        "darkchannel-output",
        "darkchannel-refs",
        "darkchannel-temp",
    ]


def test_the_runtime_of_the_voice_can_be_named() -> None:
    """It is passed on as it is written; whoever builds the engine knows which there are."""
    assert Settings.from_environment({}).kokoro_runtime is None
    named = Settings.from_environment({"DARKCHANNEL_KOKORO_RUNTIME": "onnxruntime"})
    assert named.kokoro_runtime == "onnxruntime"


def test_root_credentials_are_the_last_resort() -> None:
    """MINIO_ROOT_USER is used only where no access key is given."""
    root = {"MINIO_ROOT_USER": "root", "MINIO_ROOT_PASSWORD": "password"}
    both = Settings.from_environment(STORE | root).store
    alone = Settings.from_environment({"MINIO_ENDPOINT": "http://minio:9000"} | root).store
    assert both is not None
    assert alone is not None
    assert both.credentials == Credentials("key", "secret")
    assert alone.credentials == Credentials("root", "password")


def test_a_secret_is_never_shown() -> None:
    """The representation of settings holds no secret."""
    assert "secret" not in repr(Settings.from_environment(STORE)).replace("secret_key", "")


@pytest.mark.parametrize(
    "env",
    [
        {"DARKCHANNEL_DATADIR": "/x"},
        {"DARKCHANNEL_WORKERS": "0"},
        {"DARKCHANNEL_WORKERS": "-1"},
        {"MINIO_ENDPOINT": "http://minio:9000"},
        {"MINIO_ENDPOINT": "minio:9000"},
        {"MINIO_ENDPOINT": "http://minio:9000", "MINIO_ACCESS_KEY": "key"},
        STORE | {"MINIO_LINK_ACCESS_KEY": "link"},
        STORE | {"MINIO_ENDPOINT_EXTERNAL": "s3.example.org"},
    ],
    ids=lambda env: " ".join(name for name in env if name not in STORE or len(env) < 3),
)
def test_what_cannot_be_used_is_refused(env: dict[str, str]) -> None:
    """An unknown name of ours, half a key pair or an odd value is an error with a remedy."""
    with pytest.raises(SettingError):
        Settings.from_environment(env)


def test_the_data_directory_may_be_named(tmp_path: Path) -> None:
    """DARKCHANNEL_DATA_DIR says where everything lives."""
    settings = Settings.from_environment({"DARKCHANNEL_DATA_DIR": str(tmp_path)})
    assert settings.data_dir == tmp_path
