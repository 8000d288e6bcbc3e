// Makes a picture with fetch and prints its URL. Reads both shapes of the response: `job_id` and `output`, as on the
// page "HTTP/REST API", and `id` and `output_data`, as on the page of flux-kontext-max.
import { setTimeout as sleep } from "node:timers/promises";

const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

const headers = { Authorization: `Bearer ${BEARER}`, "Content-Type": "application/json" };

function read(answer) {
  return {
    id: answer.job_id ?? answer.id,
    status: answer.status,
    pictures: answer.output ?? answer.output_data?.urls ?? [],
  };
}

async function call(path, init) {
  const response = await fetch(BASE_URL + path, { headers, ...init });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return read(await response.json());
}

let prediction = await call("/black-forest-labs/flux-kontext-max/predictions", {
  method: "POST",
  body: JSON.stringify({ input: { prompt: "A serene Japanese garden", aspect_ratio: "16:9" }, image_count: 1 }),
});
while (!["succeeded", "failed", "canceled"].includes(prediction.status)) {
  await sleep(1000);
  prediction = await call(`/predictions/${prediction.id}`);
}
console.log(prediction.pictures[0] ?? prediction.status);
