"""Requests generated from the OpenAPI document, many invalid: none may cause an internal error."""

from pathlib import Path

import pytest
import schemathesis
from gateway_run import PASSWORD, gateway_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ENDLESS = "/api/v1/live"
UNFIT = (ENDLESS, "/api/v1/probe", "/api/v1/discover", "/api/v1/tokens")
"""Without an end, speak to hosts that were drawn, or close the door to what follows."""
NOT_A_FAULT = (503, 507)


@pytest.mark.timeout(120)
def test_no_request_is_a_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with gateway_run(tmp_path, caplog) as gateway:
        schema = schemathesis.openapi.from_url(f"{gateway.url}/api/v1/openapi.json")
        operations = [one.ok() for one in schema.get_all_operations()]
        cases = st.one_of(
            *(one.as_strategy() for one in operations if one is not None and one.path not in UNFIT)
        )

        @settings(max_examples=120, database=None, suppress_health_check=list(HealthCheck))
        @given(cases)
        def ask(case: schemathesis.Case) -> None:
            answer = case.call(timeout=20)
            assert answer.status_code < 500 or answer.status_code in NOT_A_FAULT, answer.text
            assert PASSWORD not in answer.text
            case.validate_response(
                answer, checks=[schemathesis.checks.CHECKS.get_one("response_schema_conformance")]
            )

        ask()
    assert "fault in a request" not in caplog.text
    assert PASSWORD not in caplog.text
