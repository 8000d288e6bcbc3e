// A phone on the network of `valetkey dev --lan`. Runs in a network namespace, which has two private addresses: this machine's
// and the phone's. Prints the status of each request as JSON. `node phone.mjs GATEWAY PORT`, with the machine's PATH.
import { execFileSync, spawn } from "node:child_process";
import { request } from "node:http";

const [gateway, port] = process.argv.slice(2);
const MACHINE = "10.9.8.7";
const PHONE = "10.9.8.8";
const valetkey = (...args) => ["npx", ["--no-install", "valetkey", ...args]];

/** Sends a request from the phone's address. */
function call(path, headers = {}, form = undefined) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: MACHINE, port, localAddress: PHONE, path, headers, method: form === undefined ? "GET" : "POST" }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode));
    });
    sent.once("error", reject).end(form?.toString());
  });
}

const dev = spawn(...valetkey("dev", "--mock", "--lan", "--port", port), { cwd: gateway, detached: true, stdio: ["ignore", "pipe", "inherit"] });
let output = "";
await new Promise((resolve, reject) => {
  dev.once("exit", () => reject(new Error(output)));
  dev.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
    if (output.includes("Press Ctrl+C to stop")) resolve();
  });
});
const token = execFileSync(...valetkey("token", "alice"), { cwd: gateway, encoding: "utf8" }).trim();
const picture = execFileSync(...valetkey("picture", "x"), { cwd: gateway, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const authorization = `Bearer ${token}`;
const form = { "content-type": "application/x-www-form-urlencoded" };
const widget = new URLSearchParams({
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token: "a-token-of-the-widget",
  subject_token_type: "urn:valetkey:token-type:turnstile",
});
const explorers = ["/cdn-cgi/explorer", "/cdn-cgi/local/explorer", "/cdn-cgi/local/explorer/api/local/workers"];
const result = {
  isAddressShown: output.includes(`http://${MACHINE}:${port}`),
  hasPicture: picture.includes("(a stand-in"),
  ready: await call("/readyz"),
  withoutToken: await call("/v1/models"),
  withToken: await call("/v1/models", { authorization }),
  guest: await call("/auth/token", form, widget),
  page: await call("/v1/models", { authorization, origin: `http://${MACHINE}:5173` }),
  otherPage: await call("/v1/models", { authorization, origin: "http://evil.example" }),
  // A page whose name was made to point here.
  reboundName: await call("/v1/models", { authorization, host: "evil.example", origin: "http://evil.example" }),
  explorers: await Promise.all(explorers.map((path) => call(path, { host: "localhost" }))),
};
process.kill(-dev.pid, "SIGINT");
await new Promise((resolve) => dev.once("exit", resolve));
console.log(JSON.stringify(result));
