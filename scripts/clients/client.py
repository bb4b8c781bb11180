"""Uses the client that openapi-python-client makes of the OpenAPI document."""

import sys

from ecs_scheduler_client import Client
from ecs_scheduler_client.api.decisions import list_decisions
from ecs_scheduler_client.api.jobs import create_job, delete_job, get_job, list_jobs, suspend_job
from ecs_scheduler_client.models import JobDocument, JobPage, JobView, ProblemDocument, Reference

with Client(base_url=sys.argv[1]) as client:
    job = JobDocument(id="python", task_definition="nightly-report", schedule="0 30 2", task_count=2)
    created = create_job.sync_detailed(client=client, body=job)
    assert created.status_code == 201 and isinstance(created.parsed, Reference), created
    assert created.parsed.link.href == "/jobs/python"

    twice = create_job.sync(client=client, body=job)
    assert isinstance(twice, ProblemDocument) and twice.status == 409, twice

    page = list_jobs.sync(client=client, count=100)
    assert isinstance(page, JobPage), page
    shown = next(found for found in page.jobs if found.id == "python")
    assert isinstance(shown, JobView) and shown.task_count == 2, shown

    suspended = suspend_job.sync(client=client, id="python")
    assert isinstance(suspended, JobView) and suspended.suspended is True, suspended

    decisions = list_decisions.sync(client=client, limit=5)
    assert decisions is not None and isinstance(decisions.decisions, list), decisions

    missing = get_job.sync(client=client, id="none")
    assert isinstance(missing, ProblemDocument) and missing.status == 404, missing
    assert delete_job.sync_detailed(client=client, id="python").status_code == 200
print("the client in Python works")
