"""Makes a picture with requests and prints its URL. The create is the one of the page "Authentication"."""

import os
import time

import requests

BASE_URL = "https://api.deepcreativelabs.com/v1"
BEARER = os.environ.get("DEEPCREATIVE_API_KEY")


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {BEARER}"}
    response = requests.request(method, BASE_URL + path, headers=headers, json=body, timeout=30)
    response.raise_for_status()
    return response.json()


prediction = call(
    "POST",
    "/black-forest-labs/flux-kontext-max/predictions",
    {"input": {"prompt": "A serene Japanese garden"}},
)
while prediction["status"] not in ("succeeded", "failed", "canceled"):
    time.sleep(1)
    prediction = call("GET", f"/predictions/{prediction['job_id']}")
if prediction["status"] != "succeeded":
    raise SystemExit(f"The prediction is {prediction['status']}.")
print(prediction["output"][0])
