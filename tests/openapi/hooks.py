"""What schemathesis cannot know of this API, and a line for each answer, which tests/openapi/run.mjs counts."""

import json
import os
import re
from collections import deque

import schemathesis

ANSWERS = open(os.environ["ANSWERS_FILE"], "w", encoding="utf-8", buffering=1)
# Of tests/openapi/narrow.mjs: after it, tokens of the test itself would end.
REVOCABLE_UNTIL = int(os.environ["REVOCABLE_UNTIL"])
# Predictions that were created lately.
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


# The stateful phase follows those two: each waits for the end of a prediction.
@schemathesis.hook.skip_for(operation_id=["watchPrediction", "streamPrediction"])
def map_path_parameters(context, parameters):
    """Every other good id becomes one that exists: a made-up id is found by nobody."""
    job_id = (parameters or {}).get("job_id")
    if JOB_IDS and re.fullmatch("pred_[0-9a-z]{26}", str(job_id)) and job_id[-1] < "g":
        return {**parameters, "job_id": JOB_IDS[ord(job_id[-2]) % len(JOB_IDS)]}
    return parameters


@schemathesis.hook
def filter_case(context, case):
    return not any(is_beyond_schemas(name, value) for name, value in members(case.body)) and not ends_the_test(case)


def members(value, name=None):
    """Every value in a JSON text, with the name of the member that holds it."""
    yield name, value
    items = value.items() if isinstance(value, dict) else ((name, item) for item in value) if isinstance(value, list) else ()
    for name, item in items:
        yield from members(item, name)


def is_beyond_schemas(name, value):
    """What a schema would be wrong about, whatever it says."""
    # JSON Schema takes 4.0 for an integer, and the API does not.
    is_whole_float = isinstance(value, float) and value.is_integer()
    # The vendor alone refuses an empty prompt: it has a price, but cannot be created.
    is_empty_prompt = name == "prompt" and value == ""
    # No pattern says that words differ.
    words = value.split(" ") if name == "scope" and isinstance(value, str) else []
    return is_whole_float or is_empty_prompt or len(set(words)) < len(words)


def ends_the_test(case):
    """An operator's request that would end everybody's tokens, those of the test among them."""
    until = case.body.get("issued_by") if isinstance(case.body, dict) else None
    return isinstance(until, int) and until > REVOCABLE_UNTIL
