"""Tells schemathesis what it cannot know about this API, and writes a line per response, which tally.mjs counts."""

import json
import os
import re
from collections import deque

import schemathesis

ANSWERS = open(os.environ["ANSWERS_FILE"], "w", encoding="utf-8", buffering=1)
# Unix seconds, from tests/openapi/narrow.mjs. Revoking tokens issued later would revoke the test's own.
REVOCABLE_UNTIL = int(os.environ["REVOCABLE_UNTIL"])
# The last predictions that the test created.
JOB_IDS = deque(maxlen=50)


@schemathesis.hook
def after_call(context, case, response):
    answer = {
        "operation": case.operation.definition.raw["operationId"],
        "method": response.request.method,
        "status": response.status_code,
    }
    ANSWERS.write(json.dumps(answer) + "\n")
    if answer["operation"].startswith("createPrediction") and answer["status"] in (201, 202):
        JOB_IDS.append(response.json()["job_id"])


# Not for these two, which wait until a prediction is terminal. The stateful phase calls them.
@schemathesis.hook.skip_for(operation_id=["watchPrediction", "streamPrediction"])
def map_path_parameters(context, parameters):
    """Replaces about half of the valid ids by ids that exist: a generated one only gets 404."""
    job_id = (parameters or {}).get("job_id")
    if JOB_IDS and re.fullmatch("pred_[0-9a-z]{26}", str(job_id)) and job_id[-1] < "g":
        return {**parameters, "job_id": JOB_IDS[ord(job_id[-2]) % len(JOB_IDS)]}
    return parameters


@schemathesis.hook
def filter_case(context, case):
    return not any(is_beyond_schemas(name, value) for name, value in members(case.body)) and not ends_the_test(case)


def members(value, name=None):
    """Yields every value in parsed JSON, with the name of the member that holds it."""
    yield name, value
    items = value.items() if isinstance(value, dict) else ((name, item) for item in value) if isinstance(value, list) else ()
    for name, item in items:
        yield from members(item, name)


def is_beyond_schemas(name, value):
    """Returns whether no JSON Schema can express how the API treats this value."""
    # JSON Schema accepts 4.0 as an integer; the API does not.
    is_whole_float = isinstance(value, float) and value.is_integer()
    # Only the vendor refuses an empty prompt, so an estimate of it succeeds and a create fails.
    is_empty_prompt = name == "prompt" and value == ""
    # No pattern can require that words differ.
    words = value.split(" ") if name == "scope" and isinstance(value, str) else []
    return is_whole_float or is_empty_prompt or len(set(words)) < len(words)


def ends_the_test(case):
    """Returns whether this is an operator's request that would revoke all tokens, the test's own included."""
    until = case.body.get("issued_by") if isinstance(case.body, dict) else None
    return isinstance(until, int) and until > REVOCABLE_UNTIL
