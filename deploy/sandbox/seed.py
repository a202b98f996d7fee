"""What the stand-in starts with: an organization, a game project, its people, and the App."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from deploy.sandbox.world.model import App, Installation, Repository, Role
from deploy.sandbox.world.state import World

APP_ID = 2718
APP_SLUG = "triora"
PERMISSIONS = {"issues": "write", "metadata": "read", "single_file": "read"}
EVENTS = ["issues", "issue_comment", "label", "repository"]
CONFIG_FILE = ".github/triora.yml"


def samples() -> dict[str, Any]:
    """The sample project as written in samples.json."""
    text = files("deploy.sandbox").joinpath("samples.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def plant(world: World, app_id: int, public_key: str | None) -> App:
    """Fill an empty world; the App comes installed on every repository of the organization."""
    project = samples()
    organization = project["organization"]
    owner = world.add_account(organization["login"], "Organization", organization["name"])
    for person in project["people"]:
        world.add_account(person["login"], person.get("kind", "User"), person["name"])
    for repository in project["repositories"]:
        _plant_repository(world, owner.login, repository)
    app = _plant_app(world, app_id, public_key)
    install(world, app, owner.login)
    return app


def _plant_repository(world: World, owner: str, wanted: dict[str, Any]) -> Repository:
    repository = world.add_repository(
        f"{owner}/{wanted['name']}",
        description=wanted["description"],
        roles={login: Role(role) for login, role in wanted["roles"].items()},
    )
    for label in wanted["labels"]:
        made = world.new_label(repository, label["name"], label["color"], label["description"])
        made.default = label.get("default", False)
    return repository


def _plant_app(world: World, app_id: int, public_key: str | None) -> App:
    owner = world.add_account(samples()["organization"]["login"])
    app = App(
        id=app_id,
        client_id=f"Iv23li{app_id:014d}",
        slug=APP_SLUG,
        name="Triora",
        owner=owner,
        bot=world.add_account(f"{APP_SLUG}[bot]", "Bot"),
        created=world.now(),
        public_key=public_key,
        permissions=dict(PERMISSIONS),
        events=list(EVENTS),
        single_files=(CONFIG_FILE,),
    )
    world.apps[app.id] = app
    return app


def install(
    world: World, app: App, login: str, repositories: list[Repository] | None = None
) -> Installation:
    """Put the App on an account, on all its repositories or on those given."""
    account = world.account(login)
    if account is None:
        raise KeyError(login)
    now = world.now()
    installation = Installation(
        id=world.new_id(),
        app=app,
        account=account,
        created=now,
        updated=now,
        permissions=dict(app.permissions),
        events=list(app.events),
        repository_ids=None if repositories is None else {r.id for r in repositories},
    )
    world.installations[installation.id] = installation
    return installation
