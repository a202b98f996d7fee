"""What our OpenAPI description allows, and much that it does not, sent to a running receiver.

    python -m tests.fuzz.openapi --examples 500 --seed 7

Half of the requests carry a signature that fits, so that what stands in a body is looked at. A
program of its own, since Schemathesis changes Hypothesis for the whole process it runs in. The
same requests each time, unless --seed says otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from app import logs
from app.db.migrate import upgrade
from app.web.webhooks import PATH
from tests import webhooks
from tests.fixtures_receiver import serve

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    missing_required_header,
    negative_data_rejection,
]


class AsGitHub(requests.auth.AuthBase):
    """Signs what is sent, if `fits`, in place of whatever signature was made up."""

    fits = False

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        if self.fits and "X-Hub-Signature-256" in request.headers:
            raw = body.encode() if isinstance(body, str) else body
            request.headers["X-Hub-Signature-256"] = webhooks.sign(webhooks.SECRET, raw)
        return request


def attack(client: httpx.Client, examples: int, chosen: int) -> Counter[str]:
    """How often each operation answered what. Raises at the first answer that breaks the word."""
    answers: Counter[str] = Counter()
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    signing = AsGitHub()
    with requests.Session() as session:
        session.trust_env = False
        for result in schema.get_all_operations():
            operation = result.ok()
            most = examples if operation.path == PATH else max(examples // 10, 2)
            for mode in GenerationMode:

                @seed(chosen)
                @settings(
                    max_examples=most,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode), fits=st.booleans())
                def one(case: Any, fits: bool) -> None:
                    signing.fits = fits
                    answer = case.call(base_url=str(client.base_url), session=session, auth=signing)
                    answers[f"{case.method} {case.path} {answer.status_code}"] += 1
                    # A signature made good mends what was made wrong of a request.
                    checks = CHECKS if not fits else CHECKS[:-1]
                    case.validate_response(answer, checks=checks)

                # A request without any parameter cannot be made wrong.
                with suppress(Unsatisfiable):
                    one()
    return answers


def main() -> None:
    """Exit code 0 if every answer was as described."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--examples", type=int, default=500)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    logs.configure("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'triora.db'}"
        upgrade(url)
        with serve(url) as client:
            answers = attack(client, chosen.examples, chosen.seed)
    for line, count in sorted(answers.items()):
        sys.stdout.write(f"{count:6d}  {line}\n")


if __name__ == "__main__":
    main()
