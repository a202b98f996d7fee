"""What the documents say about the code, made from the code: `make docs` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from app.core.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- settings, written by `make docs` -->", "<!-- end of settings -->"
BLOCK = re.compile(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)


def settings_table() -> str:
    """A Markdown row for every setting, in their order."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        unset = default is None or default is PydanticUndefined
        shown = "" if unset else f"`{default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write the table into the README."""
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(f"{BEGIN}\n{settings_table()}{END}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
