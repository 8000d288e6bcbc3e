"""Starts a prediction, cancels it (page "API Reference"), and prints its last status."""

import os
import time

import requests

BASE_URL = "https://api.deepcreativelabs.com/v1"
BEARER = os.environ.get("DEEPCREATIVE_API_KEY")

session = requests.Session()
session.headers["Authorization"] = f"Bearer {BEARER}"

created = session.post(
    f"{BASE_URL}/black-forest-labs/flux-kontext-max/predictions",
    json={"input": {"prompt": "A garden in all four seasons"}},
)
created.raise_for_status()
url = f"{BASE_URL}/predictions/{created.json()['job_id']}"

prediction = session.post(f"{url}/cancel").json()
while prediction["status"] not in ("succeeded", "failed", "canceled"):
    time.sleep(1)
    prediction = session.get(url).json()
print(prediction["status"])
