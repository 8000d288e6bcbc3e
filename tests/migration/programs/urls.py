"""Makes a picture with requests and prints its URL, as on the page "HTTP/REST API": the path starts with `/models`, the
body names the model too, and the URL to poll comes from the response."""

import os
import time

import requests

BASE_URL = "https://api.deepcreativelabs.com/v1"
BEARER = os.environ.get("DEEPCREATIVE_API_KEY")

session = requests.Session()
session.headers["Authorization"] = f"Bearer {BEARER}"

response = session.post(
    f"{BASE_URL}/models/black-forest-labs/flux-kontext-max/predictions",
    json={
        "provider": "black-forest-labs",
        "model": "flux-kontext-max",
        "input": {"prompt": "A serene Japanese garden", "aspect_ratio": "1:1"},
    },
)
response.raise_for_status()
prediction = response.json()
while "completed_at" not in prediction or prediction["completed_at"] is None:
    time.sleep(1)
    prediction = session.get(prediction["urls"]["get"]).json()
print(prediction["output"][0], prediction["metrics"]["predict_time"] > 0)
