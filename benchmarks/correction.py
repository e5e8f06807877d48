"""After one sentence of a rendered chapter is edited, how many chunks are rendered?"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

from benchmarks.commands import render_json
from benchmarks.table import Row
from benchmarks.texts import EXAMPLE


def run() -> list[Row]:
    """Render the example, edit a sentence, render again."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("Helena", f"Helena {uuid.uuid4().hex[:6]}")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "chapter.txt"
        source.write_text(text, encoding="utf-8")
        render_json(source, "--engine", "tone")
        source.write_text(text.replace("folha de chumbo", "folha de prata"), encoding="utf-8")
        edited = render_json(source, "--engine", "tone")
    rendered, total = edited["chunks_rendered"], edited["chunks_total"]
    return [Row("chunks rendered after one edit", f"{rendered} of {total}", "1", rendered == 1)]
