// Makes a picture with fetch and prints its URL. The create is the one of the page "Authentication".
import { setTimeout as sleep } from "node:timers/promises";

const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

async function call(method, path, body) {
  const response = await fetch(BASE_URL + path, {
    method,
    headers: { Authorization: `Bearer ${BEARER}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${answer.error.message}`);
  return answer;
}

let prediction = await call("POST", "/black-forest-labs/flux-kontext-max/predictions", {
  input: { prompt: "A serene Japanese garden" },
});
while (!["succeeded", "failed", "canceled"].includes(prediction.status)) {
  await sleep(1000);
  prediction = await call("GET", `/predictions/${prediction.job_id}`);
}
if (prediction.status !== "succeeded") throw new Error(`The prediction is ${prediction.status}.`);
console.log(prediction.output[0]);
