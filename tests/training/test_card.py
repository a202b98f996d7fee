from __future__ import annotations

from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.rows import distinct, example, filed
from training.card import Card, describe


def test_the_card_counts_labels_copies_times_and_overlap() -> None:
    train = [
        e.model_copy(
            update={
                "labels": example(labels={"severity": "low"}).labels,
                "filed_at": filed(i),
                "text_as_of": "filing" if i else "collected",
            }
        )
        for i, e in enumerate(distinct(5))
    ]
    train.append(train[0].model_copy(update={"id": "copy#1"}))
    val = [train[2].model_copy(update={"id": "held#1", "labels": {}})]
    card = describe({"train": train, "val": val}, DEFAULT_TAXONOMY)
    part = card.parts[0]
    assert part.rows == 6
    assert part.labels["severity"] == {"critical": 0, "high": 0, "medium": 0, "low": 6}
    assert part.unlabelled == {"kind": 6, "severity": 0, "component": 6, "reproducibility": 6}
    assert (part.exact_copies, part.near_duplicates, part.largest_cluster) == (1, 2, 2)
    assert (part.filed_from, part.filed_to, part.as_filed) == (filed(0), filed(4), 4)
    (overlap,) = card.overlaps
    assert (overlap.rows, overlap.of, overlap.ids) == (1, 1, ("held#1",))
    assert Card.model_validate_json(card.model_dump_json()) == card


def test_the_card_reads_as_a_page_with_every_part_beside_the_others() -> None:
    page = describe(
        {"train": distinct(3, labels={"kind": "bug"}), "val": distinct(1)}, DEFAULT_TAXONOMY
    ).markdown()
    assert "|  | train | val |" in page
    assert "| bug | 3 (100%) | 0 (0%) |" in page
    assert "- 1 of 1 rows of val have a near-duplicate in train: x#0" in page
