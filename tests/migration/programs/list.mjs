// Starts two predictions and finds both in the list, one on each page, with `limit` and `cursor` (page "API
// Reference"). `data` and `next_cursor` in a page are an assumption: the documentation does not show them.
const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

const headers = { Authorization: `Bearer ${BEARER}`, "Content-Type": "application/json" };

async function call(path, init) {
  const response = await fetch(BASE_URL + path, { headers, ...init });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response.json();
}

async function create(prompt) {
  const body = JSON.stringify({ input: { prompt } });
  return (await call("/black-forest-labs/flux-kontext-max/predictions", { method: "POST", body })).job_id;
}

const first = await create("A serene Japanese garden");
const second = await create("The same garden in snow");

const newest = await call("/predictions?limit=1");
const next = await call(`/predictions?limit=1&cursor=${encodeURIComponent(newest.next_cursor)}`);
const listed = [...newest.data, ...next.data].map((prediction) => prediction.job_id);
console.log(listed.join() === [second, first].join() ? "both are listed, the newest first" : listed);
