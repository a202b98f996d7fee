"""What is in force is what the two files said when both were last in order."""

from datetime import UTC, datetime, timedelta

from app.core.repository_config import DEFAULT_CONFIG
from app.db import configs
from app.db.learning import RepositoryConfig
from app.db.tables import Application, IssueSnapshot, Repository, State
from app.intake.delivery import accept
from deploy.sandbox.seed import PERMISSIONS
from tests.worker.conftest import WordScorer
from tests.worker.house.conftest import House
from tests.worker.labelling.conftest import make_store

CONTENTS = "/repos/{owner}/{repo}/contents/{path}"


def test_without_a_file_the_defaults_hold_and_only_the_default_branch_is_asked(house):
    assert house.holds().waiting == configs.UNREAD
    house.read()
    assert (house.holds().config, house.holds().waiting) == (DEFAULT_CONFIG, None)
    asked = house.github.requests("GET", CONTENTS)
    assert [line["path"].split("/contents/")[1] for line in asked] == [".github/triora.yml"] * 2
    assert not any("ref=" in line["query"] for line in asked)


def test_a_file_that_did_not_change_costs_nothing_of_the_rate_limit(house, owners):
    house.write("dry_run: true")
    house.write("comment: true", owners)
    house.read()
    assert house.changed == 1
    answers = [line["status"] for line in house.github.requests("GET", CONTENTS)]
    assert answers == [200, 200]
    house.read()
    assert house.changed == 0
    assert [line["status"] for line in house.github.requests("GET", CONTENTS)][2:] == [304, 304]
    assert house.holds().config.dry_run
    assert house.holds().config.comment


def test_the_owners_default_is_laid_under_the_repositorys_file(house, owners):
    house.write("dry_run: true\ncomment: true\ndeny: {authors: [ann]}", owners)
    house.write("dry_run: false")
    house.read()
    config = house.holds().config
    assert (config.dry_run, config.comment, config.deny.authors) == (False, True, ("ann",))
    house.write(None)
    house.read()
    assert house.holds().config.dry_run


def test_it_is_read_every_few_minutes(house):
    house.read()
    row = house.row
    wait = row.due_at - datetime.now(UTC)
    assert timedelta(seconds=280) < wait <= timedelta(seconds=300)
    assert (row.state, row.attempts, row.lease_token) == (State.PENDING, 0, None)


def test_many_repositories_without_a_file_do_not_spend_the_rate_limit(house, owners):
    for number in range(1, 100):
        house.store.repository(number, house.github.installation_id, f"lantern-works/{number}")
        house.store.change(RepositoryConfig, number, state=State.DONE)
    house.read()
    wait = (house.row.due_at - datetime.now(UTC)).total_seconds()
    assert 1400 < wait <= 1440
    # A file that is there costs nothing.
    house.write("comment: true")
    house.write("comment: true", owners)
    house.read()
    assert (house.row.due_at - datetime.now(UTC)).total_seconds() <= 300


def test_the_last_good_configuration_stays_in_force(house):
    house.write("comment: true")
    house.read()
    for text in ("dry_run: maybe", "a: *b", "x" * 70_000):
        house.write(text)
        house.read()
        assert house.row.problem is not None
        assert (house.holds().config.comment, house.holds().waiting) == (True, None)
    house.write("comment: false")
    house.read()
    assert (house.row.problem, house.holds().config.comment) == (None, False)


def test_a_mistake_in_one_file_does_not_stop_the_other_from_changing(house, owners):
    house.write("comment: true", owners)
    house.read()
    house.write("bogus: 1", owners)
    house.write("dry_run: true")
    house.read()
    assert (house.holds().config.comment, house.holds().config.dry_run) == (True, True)


def test_two_files_that_do_not_go_together_change_nothing(house, owners):
    house.write("dimensions: {severity: {labels: {low: {github: minor}}}}", owners)
    house.read()
    house.write("dimensions: {component: {labels: {ui: {github: minor}}}}")
    house.read()
    assert "together with the owner's default" in house.row.problem
    assert house.holds().config.taxonomy.owner_of("minor")[0].name == "severity"


def test_a_first_file_with_a_mistake_holds_everything_back_until_it_is_mended(house):
    house.write("dry_run: maybe")
    house.read()
    assert house.holds().waiting == configs.BROKEN
    number = house.issue("high ui")
    assert house.triage().unsettled == 1
    house.write("comment: false")
    house.read()
    house.work()
    assert house.labels(number) == ["component: ui", "severity: high"]


def test_a_file_that_github_does_not_let_us_read_holds_everything_back(house):
    house.github.change_installation(
        house.github.installation_id, permissions={"issues": "write", "metadata": "read"}
    )
    house.read()
    assert house.holds().waiting == configs.BROKEN
    (notice,) = house.notices()
    assert "accept the App's permission" in notice["body"]
    # The owner accepts it, and the webhook says so.
    house.write("comment: true")
    house.github.change_installation(house.github.installation_id, permissions=PERMISSIONS)
    granted = {
        "action": "new_permissions_accepted",
        "installation": {"id": house.github.installation_id},
    }
    accept(house.store.database, "installation", "g-1", granted)
    assert house.row.due_at <= datetime.now(UTC)
    house.read()
    assert (house.holds().config.comment, house.notices()[0]["state"]) == (True, "closed")


def test_the_first_issue_waits_for_the_first_reading(house):
    house.write("dry_run: true")
    number = house.issue("high ui")
    scorer = WordScorer()
    batch = house.triage(scorer)
    assert (batch.unsettled, scorer.batches) == (1, [])
    house.read()
    house.work()
    assert house.labels(number) == []
    assert house.decisions()["severity"] == ("apply", "confident")


def test_while_github_is_down_an_issue_is_scored_after_a_minute_but_never_labelled_unread(house):
    house.write("dry_run: true")
    number = house.issue("high ui")
    house.github.fault("GET /repos/*/*/contents/**", "status", times=None)
    house.read()
    assert house.row.read_at is None
    house.triage()
    snapshot = house.store.one(IssueSnapshot)
    assert snapshot.state == State.PENDING
    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    house.store.change(IssueSnapshot, snapshot.id, created_at=long_ago, due_at=long_ago)
    assert house.triage().to_label == 1
    assert house.decisions()["severity"] == ("apply", "confident")
    house.label()
    assert house.labels(number) == []
    house.github.clear_faults()
    house.store.make_due(Application)
    house.work()
    assert house.labels(number) == []
    assert house.application().kept["severity"] == "a dry run"


def test_an_old_reading_is_renewed_right_before_labels_are_written(house):
    house.read()
    number = house.issue("high ui")
    house.triage()
    house.write("deny: {labels: ['severity: *']}")
    house.age()
    house.work()
    assert house.labels(number) == ["component: ui"]
    assert house.decisions()["severity"] == ("abstain", "only people set this label")


def test_a_fresh_reading_is_not_renewed(house):
    house.read()
    before = len(house.github.requests("GET", CONTENTS))
    house.issue("high ui")
    house.work()
    assert len(house.github.requests("GET", CONTENTS)) == before


def test_a_renamed_repository_is_followed(house):
    house.write("comment: true")
    house.github.change_repository(house.repository, name="ember")
    house.read()
    assert house.store.one(Repository).full_name == "lantern-works/ember"
    assert house.holds().config.comment


def test_a_configuration_of_a_newer_triora_is_not_followed_in_part(house):
    house.read()
    house.store.change(RepositoryConfig, house.number, in_force={"of_tomorrow": 1})
    assert house.holds().waiting == configs.BROKEN


def test_both_databases_keep_the_same(database, github, repository, app_client, settings):
    house = House(
        github, make_store(database, github, repository), repository, app_client, settings
    )
    house.age()
    house.write("bogus: 1")
    house.read()
    house.read()
    assert (house.row.problem_issue, len(house.notices())) == (house.notices()[0]["number"], 1)
    house.write("suggest_only: true")
    number = house.issue("high ui")
    house.triage()
    house.age()
    house.work()
    house.read()
    assert (house.labels(number), house.notices()[0]["state"]) == ([], "closed")
    assert house.decisions()["severity"] == ("suggest", "the repository wants proposals only")
