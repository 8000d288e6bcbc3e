// Signs in at the backend that serves this page, and creates a picture with a token that this backend signs. valetkey.js
// next to this file is a copy of clients/web/dist/valetkey.min.js.
import { valetkey, ValetkeyError } from "./valetkey.js";

const MODEL = "black-forest-labs/flux-kontext-max";
const [signIn, studio, create, status, problem, picture] = ["sign-in", "studio", "create", "status", "problem", "picture"].map((id) => document.getElementById(id));

/** Sends a POST to the backend and returns the text of its response. The browser adds the cookie of the session. */
async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const text = await answer.text();
  if (answer.status === 401) throw new Error("Sign in first.");
  if (!answer.ok) throw new Error(`The backend returned HTTP ${answer.status}.`);
  return text;
}

const { valetkey_url: baseUrl } = await (await fetch("/settings.json")).json();
const getToken = async () => JSON.parse(await post("/valetkey-token", {})).token;
let client = valetkey({ baseUrl, getToken });

/** Runs the work of a form. Shows what went wrong; `no_token` has the backend's reason as its cause. */
async function submit(event, doing, work) {
  event.preventDefault();
  problem.hidden = picture.hidden = true;
  status.textContent = doing;
  try {
    status.textContent = await work();
  } catch (error) {
    status.textContent = "";
    problem.textContent = error instanceof ValetkeyError && error.code === "no_token" ? error.cause.message : error.message;
    problem.hidden = false;
  }
}

signIn.addEventListener("submit", (event) => submit(event, "Signing in…", async () => {
  await post("/sign-in", { name: signIn.elements.name.value });
  // Another user may have signed in before: the token belongs to a client.
  client = valetkey({ baseUrl, getToken });
  return `Signed in as ${signIn.elements.name.value}.`;
}));

studio.addEventListener("submit", (event) => {
  if (create.ariaDisabled === "true") return event.preventDefault();
  create.ariaDisabled = "true";
  return submit(event, "Making your picture…", async () => {
    const prompt = studio.elements.prompt.value;
    const { output } = await client.run(MODEL, { prompt });
    // Valetkey leaves out output URLs that are not https.
    picture.hidden = output.length === 0;
    picture.src = output[0] ?? "";
    picture.alt = prompt;
    return picture.hidden ? "The picture was made, but it has no usable URL." : "Your picture is ready.";
  }).finally(() => (create.ariaDisabled = "false"));
});
