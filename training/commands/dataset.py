"""`triora dataset …`: look at training data, clean it, label it, split it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.core.errors import BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY

if TYPE_CHECKING:
    from training.dataset import Reading

Files = Annotated[list[Path], typer.Argument(help="JSON Lines files.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Strict = Annotated[bool, typer.Option(help="Stop at malformed rows, not only report them.")]
Weak = Annotated[
    bool, typer.Option("--keyword-labels", help="Take a row's keyword_labels, not its labels.")
]

commands = typer.Typer(help="Look at training data, clean it, label it, split it.")


def register(cli: typer.Typer) -> None:
    """Add `triora dataset`."""
    cli.add_typer(commands, name="dataset", no_args_is_help=True)


def read(path: Path, *, weak: bool = False, strict: bool = False) -> Reading:
    """A file's rows; its malformed ones on stderr, by line and counted."""
    from training import dataset  # noqa: PLC0415 - heavy imports wait for their command

    reading = dataset.read(path, source="keyword_labels" if weak else "labels")
    for problem in reading.problems:
        typer.echo(f"{path}, {problem}", err=True)
    if reading.problems:
        typer.echo(
            f"{path}: {len(reading.problems)} of {reading.rows} rows are malformed", err=True
        )
    for (dimension, label), count in reading.folded.items():
        typer.echo(f"{path}: {count} rows have {dimension}/{label}, which is folded", err=True)
    if strict:
        reading.refuse_problems()
    if not reading.examples:
        raise BadRequest(f"{path}: there is no usable row")
    return reading


@commands.command()
def card(
    files: Files,
    json: Json = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write card.json and card.md to.")
    ] = None,
    weak: Weak = False,
) -> None:
    """The dataset card: counts, label balance, overlap between the files, digest."""
    from training import card as cards  # noqa: PLC0415

    if len({path.stem for path in files}) < len(files):
        raise ConfigProblem("the files' names are the parts' names: no two may be the same")
    parts = {path.stem: read(path, weak=weak).examples for path in files}
    found = cards.describe(parts, DEFAULT_TAXONOMY)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "card.json").write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (out / "card.md").write_text(found.markdown(), encoding="utf-8")
    typer.echo(found.model_dump_json(indent=2) if json else found.markdown(), nl=json)


@commands.command()
def check(
    train: Annotated[Path, typer.Argument(help="The training rows.")],
    held_out: Annotated[
        list[Path] | None, typer.Option("--held-out", help="Rows figures will be computed on.")
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="An adapter whose manifest has to fit, too.")
    ] = None,
) -> None:
    """Malformed rows, unknown labels, empty classes and leakage; exit code 2 if there are any."""
    from training import guard  # noqa: PLC0415

    reading = read(train, strict=True)
    held = [read(path, strict=True) for path in held_out or ()]
    manifest = None
    if adapter is not None:
        from app.core.manifest import load  # noqa: PLC0415

        manifest = load(adapter).vocabulary
    guard.check(
        reading.examples,
        DEFAULT_TAXONOMY,
        held_out=[example for other in held for example in other.examples],
        manifest=manifest,
        lines=reading.lines,
    )
    typer.echo(f"{train}: {len(reading.examples)} rows are fit for training")


@commands.command()
def split(
    file: Annotated[Path, typer.Argument(help="The rows to split.")],
    out: Annotated[Path, typer.Option(help="Folder to write NAME.jsonl to.")],
    shares: Annotated[
        str, typer.Option(help="Parts and shares; by time from the oldest.")
    ] = "train=0.8,val=0.1,test=0.1",
    by: Annotated[str, typer.Option(help="random, group or time.")] = "random",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal parts.")] = 0,
    strict: Strict = False,
) -> None:
    """Split rows; near-duplicates stay on one side, labels are spread evenly."""
    from training import dataset  # noqa: PLC0415
    from training.split import By  # noqa: PLC0415
    from training.split import split as divide  # noqa: PLC0415

    if by not in list(By):
        raise ConfigProblem(f"--by {by!r}: choose one of {', '.join(By)}")
    examples = read(file, strict=strict).examples
    parts = divide(examples, parse_shares(shares), by=By(by), seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in parts.items():
        dataset.write(out / f"{name}.jsonl", rows)
        typer.echo(f"{out / name}.jsonl: {len(rows)} rows")


def parse_shares(text: str) -> dict[str, float]:
    """`train=0.8,val=0.2` as a dict. ConfigProblem if it reads otherwise."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        try:
            shares[name] = float(share)
        except ValueError as error:
            raise ConfigProblem(f"--shares {part!r}: write NAME=SHARE, as in train=0.8") from error
        if not name.isidentifier():
            raise ConfigProblem(f"--shares {part!r}: a part's name is letters and digits")
    return shares


@commands.command()
def build(
    files: Files,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    mapping: Annotated[
        list[Path] | None,
        typer.Option(help="What a repository's labels mean; the shipped files without it."),
    ] = None,
    weak: Annotated[
        bool, typer.Option("--weak", help="Label by keyword rules: a cold start, never truth.")
    ] = False,
    strict: Strict = False,
) -> None:
    """One clean file: labels from GitHub labels, exact copies merged, problems reported."""
    from training import dataset, keywords, mapping as maps  # noqa: PLC0415, I001
    from training.duplicates import deduplicate  # noqa: PLC0415

    examples = [example for path in files for example in read(path, strict=strict).examples]
    if len({example.id for example in examples}) < len(examples):
        raise BadRequest("the files share ids: the same rows would be in twice")
    mappings = [maps.load(path, DEFAULT_TAXONOMY) for path in mapping or ()]
    mapped = maps.apply(examples, mappings or maps.shipped(DEFAULT_TAXONOMY))
    rows, merged = deduplicate(mapped.examples)
    if weak:
        rows = [row if row.labels else keywords.weak(row, DEFAULT_TAXONOMY) for row in rows]
    count = dataset.write(out, rows)
    typer.echo(f"{out}: {count} rows, digest {dataset.digest(rows)[:16]}")
    typer.echo(f"merged as exact copies: {len(merged)}", err=True)
    disputed = sum(1 for one in merged if one.disputed)
    if disputed:
        typer.echo(f"of which contradict each other: {disputed} (left unlabelled there)", err=True)
    for what, counts in (
        ("labels of repositories that no mapping knows", mapped.unknown),
        ("issues whose labels disagree, by dimension", mapped.disputed),
        ("rows of repositories without a mapping", mapped.uncovered),
    ):
        if counts:
            listed = ", ".join(f"{name} {count}" for name, count in counts.most_common(15))
            typer.echo(f"{what}: {listed}", err=True)
    if mapped.by_bots:
        typer.echo(f"labels left out because a bot set them: {mapped.by_bots}", err=True)


@commands.command()
def rules(
    file: Annotated[Path, typer.Argument(help="Rows with read labels.")], json: Json = False
) -> None:
    """The keyword label functions: coverage, and agreement with the labels of a file."""
    from pydantic import TypeAdapter  # noqa: PLC0415

    from training import keywords  # noqa: PLC0415

    found = keywords.agreements(read(file).examples)
    if json:
        listed = TypeAdapter(list[keywords.Agreement]).dump_json(found, indent=2)
        typer.echo(listed.decode())
        return
    typer.echo(f"{'rule':<30}{'says':<13}{'coverage':<28}{'agreement':<28}{'spoke':>6}  label is")
    for a in found:
        usual = f"{a.share_of_label:.1%}" if a.share_of_label is not None else "n/a"
        typer.echo(
            f"{a.function:<30}{a.label:<13}{a.coverage.percent():<28}{a.agreement.percent():<28}"
            f"{a.agreement.n:>6}  {usual}"
        )
