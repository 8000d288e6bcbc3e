#!/usr/bin/env python3
"""Creates a picture and prints its URL.

Exit codes: 0 the picture was created; 1 the request was refused, or the prediction failed; 2 wrong usage or settings;
75 temporary failure: run the command again with the same --idempotency-key; 130 interrupted.
"""

import argparse
import os
import sys
import uuid

import requests

import tokens
import valetkey

FAILED, USAGE, NOT_NOW, INTERRUPTED = 1, 2, 75, 130


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"{__doc__.split(chr(10), 2)[2]}\nUses the token in VALETKEY_TOKEN, or signs one with APP_TOKEN_SECRET.",
    )
    parser.add_argument("prompt", help="description of the picture")
    url = os.environ.get("VALETKEY_URL", "http://127.0.0.1:8787")
    parser.add_argument("--url", default=url, help=f"Valetkey's origin (VALETKEY_URL, {url})")
    parser.add_argument("--user", default="alice", help="user who creates the picture, by your backend's user id")
    parser.add_argument("--plan", help="the user's plan")
    parser.add_argument("--model", default="black-forest-labs/flux-kontext-max", help="OWNER/MODEL")
    parser.add_argument("--aspect-ratio", choices=["1:1", "16:9", "9:16"])
    parser.add_argument("--idempotency-key", default=str(uuid.uuid4()), help="key of an earlier run, to repeat it")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECS", help="time limit in seconds (600)")
    parser.add_argument("--poll", action="store_true", help="poll every second, for proxies that buffer streams")
    return parser.parse_args()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def progress_of(prediction: dict) -> str:
    queue = prediction.get("queue")
    if queue is None:
        return prediction["status"]
    return f"queued, position {queue['position']}, about {queue['eta_seconds']} s"


def make_picture(client: valetkey.Client, options: argparse.Namespace) -> int:
    order = {"prompt": options.prompt}
    if options.aspect_ratio is not None:
        order["aspect_ratio"] = options.aspect_ratio
    prediction = client.create(options.model, {"input": order}, options.idempotency_key)
    job_id = prediction["job_id"]
    say(f"{job_id}: {progress_of(prediction)}")
    for prediction in client.poll(job_id) if options.poll else client.follow(job_id):
        say(f"{job_id}: {progress_of(prediction)}")
    if prediction["status"] == "succeeded" and prediction["output"]:
        print(prediction["output"][0])
        return 0
    error = prediction["error"] or {"message": "There is no output URL.", "code": prediction["status"]}
    say(f"No picture: {error['message']} ({error['code']}, {job_id}, request {client.request_id})")
    return FAILED


def main() -> int:
    options = arguments()
    given = os.environ.get("VALETKEY_TOKEN")
    if given is None and "APP_TOKEN_SECRET" not in os.environ:
        say("Set APP_TOKEN_SECRET to the secret that your backend signs tokens with, or VALETKEY_TOKEN to a token.")
        return USAGE
    # In an app these are two programs: the client fetches its tokens from the backend, with the user's session.
    client = valetkey.Client(
        options.url, lambda: given or tokens.token_for(options.user, options.plan), options.timeout, notify=say
    )
    try:
        return make_picture(client, options)
    except valetkey.Refused as refused:
        say(f"The request was refused: {refused}")
        return FAILED
    except valetkey.OutOfTime as late:
        say(f"Timed out: {late.__cause__ or 'the prediction is still in progress'}")
        say(f"To continue, run it again with --idempotency-key {options.idempotency_key}")
        return NOT_NOW
    except requests.RequestException as error:
        say(f"Cannot send a request to {options.url}: {error}")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
