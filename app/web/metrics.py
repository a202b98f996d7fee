"""Figures for Prometheus at /metrics: deliveries as they come, work as the database counts it."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db import corrections, work
from app.db.learning import Review
from app.db.session import Database
from app.db.tables import Application, IssueSnapshot
from app.github.events import INTEREST

_TABLES: dict[str, type[work.Claimed]] = {
    "issues": IssueSnapshot,
    "labels": Application,
    "reviews": Review,
}


class Metrics:
    """The figures of one receiver, in a registry of its own."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self._deliveries = Counter(
            "triora_deliveries",
            "Webhook deliveries taken in, by event, what was done with them, and if seen before",
            ["event", "outcome", "duplicate"],
            registry=self.registry,
        )
        self._refused = Counter(
            "triora_webhooks_refused",
            "Webhook calls that were not taken in, by HTTP status",
            ["status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "triora_webhook_seconds",
            "Time from the first byte of a webhook to its answer",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.registry.register(_Backlog(database))

    def delivery(self, event: str, outcome: str, duplicate: bool) -> None:
        """Count a delivery. Events we do not use share one name: they are any number of words."""
        known = event if event in INTEREST else "other"
        self._deliveries.labels(known, outcome, str(duplicate).lower()).inc()

    def refused(self, status: int) -> None:
        """Count a webhook call that was not taken in."""
        self._refused.labels(str(status)).inc()


class _Backlog(Collector):
    """Rows of work, counted when somebody asks; left out while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Work by kind and state; corrections by change, and whether they teach."""
        rows = GaugeMetricFamily(
            "triora_work", "Rows of work that wait or were given up", labels=["work", "state"]
        )
        learnt = GaugeMetricFamily(
            "triora_corrections",
            "What people corrected or confirmed, and what of it is in quarantine",
            labels=["change", "quarantine"],
        )
        try:
            with self._database.reading() as session:
                for change, held, number in corrections.counts(session):
                    learnt.add_metric([change, str(held).lower()], number)
                for name, table in _TABLES.items():
                    for state, number in work.counts(session, table).items():
                        rows.add_metric([name, str(state)], number)
        except (DBAPIError, PoolTimeout):
            return
        yield rows
        yield learnt

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: registering must not ask the database."""
        return []


def routes(metrics: Metrics) -> APIRouter:
    """The page Prometheus reads."""
    router = APIRouter(tags=["operation"])

    @router.get("/metrics", response_class=Response, summary="Figures for Prometheus")
    def show_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
