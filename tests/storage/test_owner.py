"""Who holds a lease, and whether that process can still be alive."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darkchannel.storage import owner

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def owner_of_child(*, wait: bool) -> tuple[str, subprocess.Popen[str]]:
    """A process that printed its owner name and then ended, reaped or not."""
    code = "from darkchannel.storage.owner import new_owner; print(new_owner())"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    name = child.stdout.read().strip()
    if wait:
        child.wait()
    else:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return name, child


def test_this_process_is_alive_and_each_of_its_names_differs() -> None:
    """One process may hold several leases, none of which counts as abandoned."""
    names = {owner.new_owner() for _ in range(3)}
    assert len(names) == 3
    assert not any(owner.is_gone(name) for name in names)


def test_a_process_that_ended_is_gone() -> None:
    """A rerun after a kill need not wait for the lease to expire."""
    name, _ = owner_of_child(wait=True)
    assert owner.is_gone(name)


def test_a_process_that_ended_but_was_not_reaped_is_gone() -> None:
    """A zombie holds nothing."""
    name, child = owner_of_child(wait=False)
    assert owner.is_gone(name)
    child.wait()


def test_a_reused_process_number_is_not_mistaken() -> None:
    """The start time tells two processes with one number apart."""
    parts = owner.new_owner().split("/")
    parts[4] = str(int(parts[4]) - 1)
    assert owner.is_gone("/".join(parts))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_owners_elsewhere_are_never_judged(part: int) -> None:
    """Another host, boot or namespace may have a living process of any number."""
    name, _ = owner_of_child(wait=True)
    parts = name.split("/")
    parts[part] += "x"
    assert not owner.is_gone("/".join(parts))


@pytest.mark.parametrize("name", ["worker-7", "", "a/b/c/d/e/f", "-/-/-/1/1/x", "////1//"])
def test_names_given_by_callers_are_never_judged(name: str) -> None:
    """Only a name of our own making says where its process is."""
    assert not owner.is_gone(name)


def test_without_proc_nobody_is_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the system tells nothing, a lease has to expire."""
    monkeypatch.setattr(owner, "_PROC", tmp_path)
    owner._boot.cache_clear()
    try:
        name = owner.new_owner()
        assert name.split("/")[1:3] == ["-", "-"]
        assert not owner.is_gone(name)
    finally:
        owner._boot.cache_clear()
