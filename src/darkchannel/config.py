"""Settings from the environment: every name the project reads, with its default.

Names of the store are those operators know from MinIO (``MINIO_*``); everything of our own
begins with ``DARKCHANNEL_``.  A ``DARKCHANNEL_`` name that nobody reads is an error rather than
a setting that silently does nothing.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darkchannel.errors import SettingError

OWN_PREFIX = "DARKCHANNEL_"
OWN_NAMES = frozenset(
    {
        "DARKCHANNEL_API_GRACE_SECONDS",
        "DARKCHANNEL_API_KEYS_FILE",
        "DARKCHANNEL_API_RATE",
        "DARKCHANNEL_DATA_DIR",
        "DARKCHANNEL_KOKORO_RUNTIME",
        "DARKCHANNEL_OFFLINE",
        "DARKCHANNEL_SPEECH_KEY",
        "DARKCHANNEL_SPEECH_QUEUE",
        "DARKCHANNEL_WEBHOOK_PRIVATE",
        "DARKCHANNEL_WEBHOOK_SECRET",
        "DARKCHANNEL_WORKERS",
    }
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key pair; the secret never appears in a representation or a log."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Buckets:
    """Names of the four buckets."""

    jobs: str = "darkchannel-jobs"
    output: str = "darkchannel-output"
    refs: str = "darkchannel-refs"
    temp: str = "darkchannel-temp"

    def __iter__(self) -> Iterator[str]:
        return iter((self.jobs, self.output, self.refs, self.temp))


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """How to reach an S3 server.

    Attributes:
        endpoint: address for this program, such as ``http://127.0.0.1:9000``.
        credentials: for reading and writing.
        public_endpoint: address that presigned links carry; None means :attr:`endpoint`.
        link_credentials: that links are signed with; None means :attr:`credentials`.
        region: S3 region name.
        buckets: names of the four buckets.
        data_dir: where the server keeps its data, if that is known to be on this machine: some
            servers answer a full disk with nothing better than "internal error".
    """

    endpoint: str
    credentials: Credentials
    public_endpoint: str | None = None
    link_credentials: Credentials | None = None
    region: str = "us-east-1"
    buckets: Buckets = field(default_factory=Buckets)
    data_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Of the HTTP services, and of what calls them.

    Attributes:
        keys_file: names and hashes of the API keys; there need not be one on loopback.
        rate: requests a second that one key may make, on average.
        grace_seconds: what SIGTERM leaves the work under way.
        queue: chunks that may wait in a speech service; beyond it 503.
        speech_key: the API key to show to speech services elsewhere.
        webhook_secret: what webhooks are signed with; None means that there are none.
        webhook_private: let webhooks go to private, loopback and link-local addresses.
    """

    keys_file: Path = Path("api-keys")
    rate: float = 50.0
    grace_seconds: float = 30.0
    queue: int = 64
    speech_key: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    webhook_private: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process.

    Attributes:
        data_dir: where weights, the embedded store and its credentials live.
        store: the S3 server to use; None means the embedded one.
        buckets: names of the four buckets, whichever server it is.
        workers: speech workers; None means one for each core.
        offline: never fetch anything; say what is missing instead.
        kokoro_runtime: what computes the Kokoro voice; None means the default.
        http: of the HTTP services.
    """

    data_dir: Path
    store: StoreConfig | None = None
    buckets: Buckets = field(default_factory=Buckets)
    workers: int | None = None
    offline: bool = False
    kokoro_runtime: str | None = None
    http: HttpSettings = field(default_factory=HttpSettings)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        Args:
            environ: names and values; the process's own environment by default.

        Raises:
            SettingError: a name is unknown or a value cannot be used.
        """
        env = {name: value for name, value in (environ or os.environ).items() if value != ""}
        _refuse_unknown(env)
        defaults = Buckets()
        buckets = Buckets(
            jobs=env.get("MINIO_BUCKET_JOBS", defaults.jobs),
            output=env.get("MINIO_BUCKET_OUTPUT", defaults.output),
            refs=env.get("MINIO_BUCKET_REFS", defaults.refs),
            temp=env.get("MINIO_BUCKET_TEMP", defaults.temp),
        )
        data_dir = _data_dir(env)
        return cls(
            data_dir=data_dir,
            store=_store(env, buckets) if "MINIO_ENDPOINT" in env else None,
            buckets=buckets,
            workers=_positive_int(env, "DARKCHANNEL_WORKERS"),
            offline=_flag(env, "DARKCHANNEL_OFFLINE"),
            kokoro_runtime=env.get("DARKCHANNEL_KOKORO_RUNTIME"),
            http=_http(env, data_dir),
        )


def _refuse_unknown(env: Mapping[str, str]) -> None:
    for name in env:
        if name.startswith(OWN_PREFIX) and name not in OWN_NAMES:
            near = difflib.get_close_matches(name, OWN_NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(OWN_NAMES))}"
            raise SettingError(f"unknown setting {name} in the environment", remedy=hint)


def _data_dir(env: Mapping[str, str]) -> Path:
    if "DARKCHANNEL_DATA_DIR" in env:
        return Path(env["DARKCHANNEL_DATA_DIR"]).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("darkchannel", appauthor=False))


def _http(env: Mapping[str, str], data_dir: Path) -> HttpSettings:
    usual = HttpSettings()
    return HttpSettings(
        keys_file=Path(
            env.get("DARKCHANNEL_API_KEYS_FILE", data_dir / usual.keys_file)
        ).expanduser(),
        rate=_number(env, "DARKCHANNEL_API_RATE", usual.rate, least=0.01),
        grace_seconds=_number(env, "DARKCHANNEL_API_GRACE_SECONDS", usual.grace_seconds),
        queue=_positive_int(env, "DARKCHANNEL_SPEECH_QUEUE") or usual.queue,
        speech_key=env.get("DARKCHANNEL_SPEECH_KEY"),
        webhook_secret=_secret(env, "DARKCHANNEL_WEBHOOK_SECRET"),
        webhook_private=_flag(env, "DARKCHANNEL_WEBHOOK_PRIVATE"),
    )


def _secret(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name)
    if value is not None and len(value) < 16:
        raise SettingError(
            f"{name} is too short to be a secret", remedy="give it 16 characters or more"
        )
    return value


def _store(env: Mapping[str, str], buckets: Buckets) -> StoreConfig:
    endpoint = _endpoint(env, "MINIO_ENDPOINT")
    if endpoint is None:
        raise SettingError("MINIO_ENDPOINT is empty")
    credentials = _key_pair(env, "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY") or _key_pair(
        env, "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"
    )
    if credentials is None:
        raise SettingError(
            "MINIO_ENDPOINT is set but no credentials are",
            remedy="set MINIO_ACCESS_KEY and MINIO_SECRET_KEY",
        )
    return StoreConfig(
        endpoint=endpoint,
        credentials=credentials,
        public_endpoint=_endpoint(env, "MINIO_ENDPOINT_EXTERNAL"),
        link_credentials=_key_pair(env, "MINIO_LINK_ACCESS_KEY", "MINIO_LINK_SECRET_KEY"),
        region=env.get("MINIO_REGION", "us-east-1"),
        buckets=buckets,
    )


def _endpoint(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name)
    if value is None:
        return None
    if not value.startswith(("http://", "https://")):
        raise SettingError(
            f"{name}={value!r} is not an address", remedy=f"write {name}=http://HOST:PORT"
        )
    return value.rstrip("/")


def _key_pair(env: Mapping[str, str], access: str, secret: str) -> Credentials | None:
    if access not in env and secret not in env:
        return None
    if access not in env or secret not in env:
        missing = access if access not in env else secret
        raise SettingError(f"{missing} is missing", remedy=f"set both {access} and {secret}")
    return Credentials(env[access], env[secret])


def _positive_int(env: Mapping[str, str], name: str) -> int | None:
    value = env.get(name)
    if value is None:
        return None
    if not value.isdecimal() or not 1 <= int(value) <= 1024:
        raise SettingError(f"{name}={value!r}: expected a whole number from 1 to 1024")
    return int(value)


def _number(
    env: Mapping[str, str], name: str, usual: float, *, least: float = 0.0, most: float = 3600.0
) -> float:
    value = env.get(name)
    if value is None:
        return usual
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise SettingError(f"{name}={value!r}: expected a number from {least:g} to {most:g}")
    return number


def _flag(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise SettingError(f"{name}={value!r}: expected 1 or 0")
