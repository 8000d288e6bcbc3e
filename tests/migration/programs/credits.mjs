// Reports that no credits are left (page "Error codes"). One page of the documentation writes codes in capitals and
// another in lower case, so the program ignores case.
const BASE_URL = "https://api.deepcreativelabs.com/v1";
const BEARER = process.env.DEEPCREATIVE_API_KEY;

const response = await fetch(`${BASE_URL}/black-forest-labs/flux-kontext-max/predictions`, {
  method: "POST",
  headers: { Authorization: `Bearer ${BEARER}`, "Content-Type": "application/json" },
  body: JSON.stringify({ input: { prompt: "A serene Japanese garden" } }),
});
const { error } = await response.json();
switch (error?.code.toLowerCase()) {
  case "insufficient_credits":
    console.log(`No credits are left (${response.status} ${error.type}).`);
    break;
  default:
    throw new Error(`${response.status}: ${JSON.stringify(error)}`);
}
