"""`triora preview`: what Triora would do in a repository, before anything is installed there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.core.errors import ConfigProblem
from app.core.settings import PREFIX, Settings
from app.core.taxonomy import DEFAULT_TAXONOMY

if TYPE_CHECKING:
    from training.preview.figures import Preview
    from training.preview.gathering import Gathered

TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable, no token


def register(cli: typer.Typer) -> None:
    """Add `triora preview`."""
    cli.command()(preview)


def preview(
    repository: Annotated[str, typer.Argument(metavar="OWNER/REPO")],
    token_env: Annotated[
        str, typer.Option(help="Environment variable with a token that may read the repository.")
    ] = TOKEN,
    limit: Annotated[int, typer.Option(min=1, help="Issues to read, the newest.")] = 600,
    mapping: Annotated[
        Path | None, typer.Option(help="What its labels mean; proposed without.")
    ] = None,
    save_mapping: Annotated[
        Path | None, typer.Option(help="Write the proposed mapping here, to edit and pass back.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Issues collected before; nothing is asked of GitHub.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("preview.html"),
    json: Annotated[bool, typer.Option("--json", help="Print the figures on stdout.")] = False,
    precision: Annotated[
        float, typer.Option(min=0.5, max=0.99, help="Share of written labels that shall be right.")
    ] = 0.9,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Learn from words alone; takes seconds.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Collect anew what was collected before.")
    ] = False,
) -> None:
    """Report what Triora would do in a repository, measured on its own history.

    Needs no installation, only a token that may read (GITHUB_TOKEN, or --token-env), and writes
    nothing to GitHub. It learns from the labels people set on older issues, is judged by the
    newest, and writes one page. Texts stay on this machine; the page carries titles.
    """
    from app.cli import start  # noqa: PLC0415 - the entry point imports the commands
    from app.github.history import check_name  # noqa: PLC0415
    from training.preview import gathering  # noqa: PLC0415

    settings = start()
    check_name(repository)
    _check_writable(out)
    if data is not None:
        found = gathering.from_file(repository, data, settings.api_url)
    else:
        found = _from_github(settings, repository, token_env, limit, fresh)
    told = _report(settings, found, mapping, save_mapping, precision, no_model)
    from training.preview import page  # noqa: PLC0415

    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page.render(told), encoding="utf-8")
    if json:
        typer.echo(told.model_dump_json(indent=2))
    _say(told, out)


def _check_writable(out: Path) -> None:
    """Before an hour of collecting, not after it."""
    folder = out.parent
    while not folder.exists():
        folder = folder.parent
    if out.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigProblem(f"{out} cannot be written: choose another file with --out")


def _from_github(
    settings: Settings, repository: str, token_env: str, limit: int, fresh: bool
) -> Gathered:
    from app.github.history import History  # noqa: PLC0415
    from training.preview import gathering  # noqa: PLC0415

    token = os.environ.get(token_env)
    if not token and (token_env != TOKEN or settings.app_id is None):
        raise ConfigProblem(
            f"{token_env} is not set: put a token there that may read {repository}"
            f" (or set {PREFIX}APP_ID and {PREFIX}PRIVATE_KEY, if the App is installed)"
        )

    def source() -> History:
        if token:
            return History.with_token(token, settings.api_url)
        return History.as_app(settings, repository)

    with _bar("reading issues", limit) as advance:
        return gathering.from_github(
            source,
            repository,
            settings.data_dir / "preview",
            limit=limit,
            fresh=fresh,
            web=settings.api_url,
            progress=advance,
            who=f"the token in {token_env}" if token else "the App",
        )


def _report(
    settings: Settings,
    found: Gathered,
    mapping_file: Path | None,
    save: Path | None,
    precision: float,
    no_model: bool,
) -> Preview:
    from training import mapping as mappings  # noqa: PLC0415
    from training.preview import measure, proposal, reading, report  # noqa: PLC0415
    from training.preview.mapping_file import check_names, dump  # noqa: PLC0415

    proposed = proposal.propose(found.labels, found.used, DEFAULT_TAXONOMY)
    mapping = proposed.mapping(found.repository)
    if save is not None and mapping is not None:
        save.write_text(dump(proposed, mapping), encoding="utf-8")
        typer.echo(
            f"{save}: the proposed mapping; edit it and pass it back with --mapping", err=True
        )
    if mapping_file is not None:
        mapping = mappings.load(mapping_file, DEFAULT_TAXONOMY)
        check_names(mapping, found.repository, [label.name for label in found.labels])
    subject = measure.Subject(
        repository=found.repository,
        examples=found.examples,
        proposal=proposed,
        mapping=mapping,
        taxonomy=DEFAULT_TAXONOMY,
        web=found.web,
        private=found.private,
        target=precision,
    )
    enough = measure.has_enough(subject)
    if no_model or not enough:
        return report.complete(measure.measure(subject, reading.words_only), subject)
    from worker.model.serve import build_scorer  # noqa: PLC0415 - imports torch
    from worker.threads import wait_without_spinning  # noqa: PLC0415

    wait_without_spinning(os.environ)
    scorer = build_scorer(settings, DEFAULT_TAXONOMY)
    with _bar("the model reads", len(found.examples)) as advance:
        reader = reading.ModelReader(scorer, DEFAULT_TAXONOMY, advance)
        told = measure.measure(replace(subject, model=scorer.version), reader)
    return report.complete(told, subject)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait for their command
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _say(told: Preview, out: Path) -> None:
    """The gist on stderr, so that --json leaves stdout to the figures."""
    for reason in told.lacking:
        typer.echo(f"too little to say anything: {reason}", err=True)
    for d in told.dimensions:
        if d.lacking is not None:
            typer.echo(f"{d.name}: {d.lacking}", err=True)
        elif d.proposed is not None:
            p = d.proposed
            typer.echo(
                f"{d.name}: would write on {p.written} of {p.coverage.n} newest issues, right on "
                f"{p.right}: {p.precision.percent()}",
                err=True,
            )
    if told.private:
        typer.echo("the repository is private: the page carries titles of its issues", err=True)
    typer.echo(f"{out}: {told.issues} issues of {told.repository}", err=True)
