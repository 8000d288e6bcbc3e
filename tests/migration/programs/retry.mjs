// Makes two pictures at once when one may run: the second create gets 429 and is retried after `Retry-After`, capped at
// 1, 2 and 4 seconds, as in the sample of the page "Rate limits". Waiting as long as the header says is better.
import { setTimeout as sleep } from "node:timers/promises";

const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

const headers = { Authorization: `Bearer ${BEARER}`, "Content-Type": "application/json" };
let refusals = 0;

async function fetchAgain(url, init) {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(url, { headers, ...init });
    if (response.status !== 429 || attempt === 3) return response;
    refusals += 1;
    await sleep(1000 * Math.min(Number(response.headers.get("Retry-After")), 2 ** attempt));
  }
}

async function picture(prompt) {
  let response = await fetchAgain(`${BASE_URL}/black-forest-labs/flux-kontext-max/predictions`, {
    method: "POST",
    body: JSON.stringify({ input: { prompt } }),
  });
  for (;;) {
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    const prediction = await response.json();
    if (prediction.status === "succeeded") return prediction.output[0];
    await sleep(1000);
    response = await fetchAgain(`${BASE_URL}/predictions/${prediction.job_id}`);
  }
}

const pictures = await Promise.all([picture("A garden by day"), picture("A garden by night")]);
console.log(refusals > 0 ? "was refused, and tried again" : "was never refused");
console.log(pictures.join("\n"));
