// Starts a prediction, cancels it at the URL in the response (page "HTTP/REST API"), and prints its last status.
import { setTimeout as sleep } from "node:timers/promises";

const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

const headers = { Authorization: `Bearer ${BEARER}`, "Content-Type": "application/json" };

async function call(method, url, body) {
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response.json();
}

let prediction = await call("POST", `${BASE_URL}/models/black-forest-labs/flux-kontext-max/predictions`, {
  input: { prompt: "A garden in all four seasons" },
});
const { get, cancel } = prediction.urls;
prediction = await call("POST", cancel);
while (!["succeeded", "failed", "canceled"].includes(prediction.status)) {
  await sleep(1000);
  prediction = await call("GET", get);
}
console.log(prediction.status);
