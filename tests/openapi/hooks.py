"""Tells schemathesis what it cannot know about this API, and writes a line per response, which tally.mjs counts."""

import datetime
import itertools
import json
import os
import random
import re
from collections import deque

import schemathesis

ANSWERS = open(os.environ["ANSWERS_FILE"], "w", encoding="utf-8", buffering=1)
# Unix seconds, from tests/openapi/narrow.mjs. Revoking tokens issued later would revoke the test's own.
REVOCABLE_UNTIL = int(os.environ["REVOCABLE_UNTIL"])
# What tests/openapi/run.mjs prepared: tokens of operators with the same rights, keys of callers and of other users, predictions
# with an unknown outcome.
with open(os.environ["PREPARED_FILE"], encoding="utf-8") as file:
    PREPARED = json.load(file)
FIRST_OPERATOR = f"Bearer {PREPARED['operators'][0]}"
# Each process begins with another one.
OPERATORS = itertools.cycle(random.sample(PREPARED["operators"], len(PREPARED["operators"])))
# The last predictions that the test created.
JOB_IDS = deque(maxlen=50)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Sends an operator's request as the next operator, since each has 240 requests a minute."""
    if (case.headers or {}).get("Authorization") == FIRST_OPERATOR:
        case.headers["Authorization"] = f"Bearer {next(OPERATORS)}"


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
    operation = context.operation.definition.raw["operationId"]
    job_id, user = ((parameters or {}).get(name) for name in ("job_id", "user"))
    if re.fullmatch("pred_[0-9a-z]{26}", str(job_id)) and job_id[-1] < "g":
        known = PREPARED["unknown_outcomes"] if operation == "releaseSlot" else JOB_IDS
        return {**parameters, "job_id": known[ord(job_id[-2]) % len(known)]} if known else parameters
    if re.fullmatch("[0-9a-f]{64}", str(user)) and user[-1] < "8":
        # Users whom one operation deletes are not those of the others.
        known = PREPARED["deleted_users"] if operation == "deleteUser" else PREPARED["users"]
        return {**parameters, "user": known[ord(user[-2]) % len(known)]}
    return parameters


@schemathesis.hook
def filter_case(context, case):
    beyond = any(is_beyond_schemas(name, value) for name, value in members(case.body)) or has_bad_days(case.query or {})
    return not beyond and not ends_the_test(case)


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


def has_bad_days(query):
    """Returns whether a range of days ends before it begins, or has a day that no calendar has."""
    days = [query[name] for name in ("from", "to") if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", str(query.get(name)))]
    return not all(is_day(day) for day in days) or days != sorted(days)


def is_day(text):
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def ends_the_test(case):
    """Returns whether this is an operator's request that would revoke the tokens of the test's callers, or pause their creates.

    A generated path can have the key of a caller: schemathesis takes values out of earlier responses, such as those of spend.
    """
    if (case.path_parameters or {}).get("user") in PREPARED["callers"]:
        return True
    if not isinstance(case.body, dict):
        return False
    until = case.body.get("issued_by")
    revokes_all = isinstance(until, int) and until > REVOCABLE_UNTIL
    pauses_all = "for_secs" in case.body and "model" not in case.body
    return revokes_all or pauses_all
