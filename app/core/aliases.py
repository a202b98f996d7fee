"""A label under the names it had: what was said of the old name holds for the new one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.core.taxonomy import Taxonomy


@dataclass(frozen=True)
class Aliases:
    """The names, case-folded, that each renamed label of a repository has or had."""

    groups: tuple[frozenset[str], ...] = ()

    @classmethod
    def of(cls, named: Iterable[tuple[int, str]]) -> Aliases:
        """From (GitHub's label id, a name it has or had), in any order."""
        groups: dict[int, set[str]] = {}
        for label_id, name in named:
            groups.setdefault(label_id, set()).add(name.casefold())
        return cls(tuple(frozenset(names) for _, names in sorted(groups.items())))

    def others(self, name: str) -> frozenset[str]:
        """The other names, case-folded, of every label that has or had this one."""
        folded = name.casefold()
        found = frozenset[str]().union(*(names for names in self.groups if folded in names))
        return found - {folded}

    def canonical(self, name: str, taxonomy: Taxonomy) -> str:
        """The taxonomy's name of that label, whatever it is called; `name` where it has none.

        A name of the taxonomy means what the taxonomy says. Another one is followed through the
        renames, unless they lead to more than one of its labels.
        """
        if taxonomy.owner_of(name) is not None:
            return name
        meant = {
            owner[1].github
            for other in self.others(name)
            if (owner := taxonomy.owner_of(other)) is not None
        }
        return meant.pop() if len(meant) == 1 else name
