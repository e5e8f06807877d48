"""Weights that stay in their files: mapped into memory, page by page, as they are used."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def array(file: Path) -> Array:
    """The array of an ``.npy`` file."""
    # Nobody writes to it, but OpenVINO shares no memory that cannot be written: a private copy of
    # each page that is.
    mapped: Array = np.load(file, mmap_mode="c", allow_pickle=False)
    return mapped


def contents(file: Path) -> Array:
    """The bytes of a file."""
    return np.memmap(file, np.uint8, "c")


def give_back(arrays: Iterable[Array]) -> None:
    """Let go of the memory of mapped arrays until they are used again.

    For who has put them in the order that its kernels want, and does not come back to them.
    """
    for each in arrays:
        pages = each.base
        if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)
