"""Reading Markdown pages: their text, links and anchors."""

from __future__ import annotations

import re
from pathlib import Path

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([\w-]+))?\)")


def prose_of(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """The names of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def linked_pages(page: Path) -> set[Path]:
    targets = {(page.parent / target).resolve() for target, _ in LINK.findall(prose_of(page)) if target}
    return {target for target in targets if target.suffix == ".md"}


def broken_links(page: Path) -> list[str]:
    """Links to files that do not exist or to headings that a page does not have."""
    broken = []
    for target, anchor in LINK.findall(prose_of(page)):
        other = (page.parent / target).resolve() if target else page
        if not other.exists() or (anchor and anchor not in anchors_of(other)):
            broken.append(f"{target}#{anchor}" if anchor else target)
    return broken
