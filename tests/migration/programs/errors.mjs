// Distinguishes errors by status and type (page "Error codes").
const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

async function failureOf(path, { bearer = BEARER, body } = {}) {
  const response = await fetch(BASE_URL + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { Authorization: `Bearer ${bearer}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const { error } = await response.json();
  if (typeof error.message !== "string" || typeof error.code !== "string") throw new Error("not as documented");
  return `${response.status} ${error.type}`;
}

console.log(await failureOf("/account", { bearer: `${BEARER}x` }));
console.log(await failureOf("/black-forest-labs/flux-kontext-max/predictions", { body: { input: {} } }));
console.log(await failureOf("/predictions/pred_invalid"));
