"""The documents of the store: what they show is run, and what they name is there."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_commands import ROOT, environment
from tests.servers import MINIO_BINARY, cache, free_ports, running

GUIDE = "docs/MINIO_GUIDE.md"
DOCUMENTS = [GUIDE, "docs/ADR-003-minio-storage.md", "docs/PROJECT-MINIO-INTEGRATION.md"]
READMES = ["README.md", "README.pt-BR.md"]
TAKE = "a-job/chunks/chunk-00001.wav"
STACK = ["docker-compose.yml", "docker-compose.dev.yml"]

SHOWN_BY = re.compile(r"^- Shown by: (.*?)(?=^- )", re.DOTALL | re.MULTILINE)
# These need a Docker host, a link of the reader's, or show what is wrong by finding nothing.
ELSEWHERE = re.compile(r"docker|\$url|^ss |^env ")


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def entries() -> dict[str, str]:
    """What the guide says of each symptom, by its heading."""
    parts = re.split(r"^### (.*)\n", text(GUIDE).partition("## Troubleshooting")[2], flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchor(heading: str) -> str:
    """The address of a heading in its page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def shown_commands() -> list[str]:
    """The commands that show what a symptom comes from, as far as a bare MinIO can answer them."""
    found = [
        " ".join(command.split())
        for entry in entries().values()
        for line in SHOWN_BY.findall(entry)
        for command in re.findall(r"`([^`]*)`", line)
    ]
    return [command for command in found if " " in command and not ELSEWHERE.search(command)]


def program(name: str) -> Path:
    """``minio`` or ``mc`` of the pinned release, as ``make minio`` leaves them."""
    named = os.environ.get(MINIO_BINARY)
    folders = [*([Path(named).parent] if named else []), cache() / "minio"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    pytest.fail(f"there is no {name} in {folders}: run `make minio`", pytrace=False)


class Desk:
    """A reader's terminal: a folder, and an environment that commands change."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.variables = environment()
        self.said = ""

    def shell(self, block: str) -> None:
        """Run a block; what it exports is there for the next."""
        block = block.replace("http://127.0.0.1:9000", self.endpoint)
        left = self.folder / "environment"
        self._run(["bash", "-euo", "pipefail", "-c", f"{block}\nenv -0 > {left}\n"], block)
        pairs = left.read_text(encoding="utf-8").rstrip("\0").split("\0")
        self.variables = dict(pair.split("=", 1) for pair in pairs)

    def python(self, block: str) -> None:
        """Run a block as a program of its own."""
        self._run([sys.executable, "-c", block], block)

    def alias(self, name: str) -> None:
        """Let ``mc`` know the server as its administrator does."""
        keys = '"$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"'
        self.shell(f"mc alias set {name} {self.endpoint} {keys}")

    def _run(self, command: list[str], block: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        self.said += done.stdout


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A checkout with ``make env`` done, and the stack's store, set up, without the gateway."""
    minio, mc = program("minio"), program("mc")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    subprocess.run([sys.executable, tmp_path / "scripts" / "make_env.py"], check=True)
    api, console = free_ports(2)
    desk = Desk(tmp_path, f"http://127.0.0.1:{api}")
    settings = (tmp_path / ".env").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(settings.replace("http://localhost:9080", desk.endpoint))
    desk.variables["PATH"] = f"{mc.parent}{os.pathsep}{desk.variables['PATH']}"
    desk.variables["MC_CONFIG_DIR"] = str(tmp_path / "mc")
    names = dict(re.findall(r"(?m)^(MINIO_ROOT_\w+)=(.*)$", settings))
    command = [str(minio), "server", str(tmp_path / "drive"), "--address", f"127.0.0.1:{api}"]
    command += ["--console-address", f"127.0.0.1:{console}"]
    with running(command, {**os.environ, **names}, tmp_path / "minio.log", desk.endpoint):
        desk.shell(
            "(set -a; . ./.env; MINIO_ENDPOINT=http://127.0.0.1:9000 sh scripts/minio-setup.sh)"
        )
        yield desk


@pytest.mark.acceptance
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_guide_works_from_top_to_bottom(desk: Desk) -> None:
    """Every shell and Python block, and every command that shows a fault, runs in order."""
    for name in ("narrator.wav", "book.mp3"):
        (desk.folder / name).write_bytes(os.urandom(200_000))
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", text(GUIDE), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 6
    for language, block in blocks:
        if language == "python":
            desk.python(block)
            continue
        desk.shell(block)
        if "mc alias set store" in block:  # the other server that a backup goes to
            desk.alias("elsewhere")
    for command in shown_commands():
        desk.shell(command)

    assert (desk.folder / "copy.wav").read_bytes() == (desk.folder / "narrator.wav").read_bytes()
    (link,) = re.findall(r"http\S+X-Amz-Signature=\w+", desk.said)
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == (desk.folder / "book.mp3").read_bytes()
    assert "processing 1 pf_dora" in desk.said
    assert "there is no job no-such-job" in desk.said
    assert "FAIL" not in desk.said


@pytest.mark.acceptance
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_backup_by_the_guide_brings_everything_back(desk: Desk) -> None:
    """Backed up, lost and restored by the shown commands, objects have their bytes and facts."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text(GUIDE), re.DOTALL | re.MULTILINE)
    marks = ("set -a", "mc mirror --overwrite", 'mc mirror "elsewhere')
    terminal, backup, restore = (next(block for block in blocks if mark in block) for mark in marks)
    desk.shell(terminal)
    desk.alias("store")
    desk.alias("elsewhere")
    desk.python(
        "from darkchannel import MinIOClient\n"
        f"MinIOClient().put('darkchannel-jobs', {TAKE!r}, b'1', metadata={{'digest': 'd'}})"
    )
    desk.shell(backup)
    desk.shell("mc rm --recursive --force store/darkchannel-jobs")
    desk.shell(restore)
    desk.shell(f"mc stat store/darkchannel-jobs/{TAKE}")
    facts = desk.said.rpartition("Metadata")[2]
    assert re.search(r"X-Amz-Meta-Digest *: d\b", facts)
    assert "X-Amz-Meta-Sha256" in facts


def test_every_symptom_has_an_entry_of_the_same_shape() -> None:
    """The table of symptoms leads to each entry, which has a cause, a command and a cure."""
    listed = re.findall(r"\| \[.*?\]\(#(.*?)\) \|$", text(GUIDE), re.MULTILINE)
    assert listed == [anchor(heading) for heading in entries()]
    assert len(listed) >= 18
    for heading, entry in entries().items():
        assert re.match(r"\n- Cause: .*^- Shown by: `.*^- Cure: ", entry, re.S | re.M), heading


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_within_the_documents_lead_to_headings(document: str) -> None:
    """Every link to a part of a page leads to a heading of that page."""
    lost = []
    for target, part in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", text(document)):
        page = (ROOT / document).parent / target if target else ROOT / document
        headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        if part not in map(anchor, headings):
            lost.append(f"{target}#{part}")
    assert not lost


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_named_are_read_somewhere(document: str) -> None:
    """Every name of a setting in the documents is one that the stack or the code reads."""
    setting = r"\b(?:(?:MINIO|BUILD|DARKCHANNEL)_[A-Z0-9_]+|[A-Z]+_(?:IMAGE|PORT|ADDRESS))\b"
    places = [*STACK, ".env.example", "src/darkchannel/config.py", "tests/servers.py"]
    read = {name for place in places for name in re.findall(setting, text(place))}
    named = set(re.findall(setting, text(document)))
    assert named
    families = tuple(name for name in named if name.endswith("_"))  # as in MINIO_QUOTA_...
    assert all(any(name.startswith(family) for name in read) for family in families)
    assert named - read - set(families) == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_tests_named_are_there(document: str) -> None:
    """Every path and every test that a document names in code quotes exists."""
    prose = re.sub(r"^ *```.*?^ *```", "", text(document), flags=re.DOTALL | re.MULTILINE)
    code = set(re.findall(r"`([^`\n]+)`", prose))
    folders = r"(src|tests|scripts|docker|benchmarks)/[\w./-]+"
    lost = [word for word in code if re.fullmatch(folders, word) and not (ROOT / word).exists()]
    assert lost == []
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    tests = [word for word in code if re.fullmatch(r"test_\w+", word)]
    assert [name for name in tests if f"def {name}(" not in sources] == []


@pytest.mark.parametrize("document", [*DOCUMENTS[:2], *READMES])
def test_docker_commands_name_what_there_is(document: str) -> None:
    """Blocks that need Docker are sound shell, and name services and files of the stack."""
    listed = text(STACK[0]).partition("\nservices:")[2].partition("\nnetworks:")[0]
    services = set(re.findall(r"^  ([\w-]+):$", listed, re.MULTILINE))
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text(document), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        subprocess.run(["bash", "-n", "-c", block], check=True)
    for command in re.findall(r"docker compose ([^`\n#)]*)", text(document)):
        words = command.split()
        files = [file for flag, file in itertools.pairwise(words) if flag == "-f"]
        assert set(files) <= set(STACK), command
        if {"exec", "logs", "cp", "run"} & set(words):
            assert {word.partition(":")[0] for word in words} & services, command


def test_both_readmes_show_the_same_commands_for_the_stack() -> None:
    """The stack is started the same way in both languages, comments aside."""
    shown = [
        [line.partition("#")[0].strip() for line in block.splitlines()]
        for readme in READMES
        for block in re.findall(r"^```bash\n(.*?)^```", text(readme), re.DOTALL | re.MULTILINE)
    ]
    assert len(shown) == 2
    assert shown[0] == shown[1]
    assert shown[0][:3] == [
        "make env",
        "docker compose up -d --wait",
        "docker compose run --rm minio-setup",
    ]
