"""Write .env from .env.example, with random access keys and secrets in place of the example's.

An .env that is there is left alone: its secrets are the store's.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
import tempfile
from pathlib import Path

EXAMPLE_SECRET = re.compile(r"(?m)=change-me[\w-]*$")
API_KEY_HASH = re.compile(r"(?m)^(\w+_API_KEY)_SHA256=.*$")
EXAMPLE_ACCESS_KEY = re.compile(r"(?m)^(MINIO_\w+_ACCESS_KEY=.+)$")


def make_env(folder: Path) -> bool:
    """Write ``.env`` beside ``.env.example``, readable by its owner only.

    Args:
        folder: that holds ``.env.example``.

    Returns:
        Whether it was written; False means that there is one already.
    """
    example = (folder / ".env.example").read_text(encoding="utf-8")
    text = EXAMPLE_SECRET.sub(lambda _: f"={secrets.token_hex(20)}", example)
    # The pinned release has holes that need nothing but the name of an access key.
    text = EXAMPLE_ACCESS_KEY.sub(lambda found: f"{found[1]}-{secrets.token_hex(6)}", text)
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    text = API_KEY_HASH.sub(lambda found: f"{found[1]}_SHA256={_sha256(settings[found[1]])}", text)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".env-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.link(name, folder / ".env")  # whole or not at all, and never over another
    except FileExistsError:
        return False
    finally:
        os.unlink(name)
    return True


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


if __name__ == "__main__":
    made = make_env(Path(__file__).parent.parent)
    print("made .env with new secrets" if made else ".env is there already; left as it is")
    sys.exit(0)
