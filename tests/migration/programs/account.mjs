// Reads the four routes of the account (page "API Reference"). Prints whether each has the credits that are left, and
// whether its headers have the rate limit (page "Rate limits").
const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

for (const path of ["/account", "/account/balance", "/account/usage", "/account/rate-limits"]) {
  const response = await fetch(BASE_URL + path, { headers: { Authorization: `Bearer ${BEARER}` } });
  const answer = await response.json();
  const limits = ["Limit", "Remaining", "Reset"].map((name) => Number(response.headers.get(`X-RateLimit-${name}`)));

  const told = [response.status];
  if (Number(answer.credits_balance) > 0) told.push("credits");
  if (limits.every((number) => number > 0)) told.push("limits");
  console.log(`${path}: ${told.join(", ")}`);
}
