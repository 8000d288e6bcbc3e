// Cloudflare and wrangler, as far as the commands for operators use them: versions of a Worker with their secrets, deployments,
// and what wrangler prints. The wrangler that is put into a folder only passes each call to this process.
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

/** Passes its arguments, its standard input and the file of secrets to the cloud, and prints what that says. */
const WRANGLER = `
const { readFileSync, writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
const file = args[args.indexOf("--secrets-file") + 1];
const input = args.includes("--secrets-file") ? readFileSync(file, "utf8") : args.includes("bulk") ? readFileSync(0, "utf8") : "";
fetch("CLOUD", { method: "POST", body: JSON.stringify({ args, input }) }).then((response) => response.json()).then(({ code, stdout, stderr, report }) => {
  if (report) writeFileSync(process.env.WRANGLER_OUTPUT_FILE_PATH, report.map((entry) => JSON.stringify(entry) + "\\n").join(""));
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = code;
});
`;

export class Cloud {
  /** Each call of wrangler: its arguments. */
  calls = [];
  /** Everything that came through a pipe. */
  inputs = [];
  /** By time: {id, message, secrets, build}. */
  versions = [];
  /** By time: the ids of versions. */
  deployments = [];
  /** Called with a version, and the mode of the objects' update, when it is deployed. */
  onDeploy = async () => {};
  /** What the next `wrangler deploy` uploads. */
  build = "build";
  /** Where a deployment answers. */
  url = undefined;
  /** Fails the next call that has this word in its arguments. */
  #failing = undefined;
  #server;

  async start() {
    this.#server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const { args, input } = JSON.parse(Buffer.concat(chunks).toString());
      response.end(JSON.stringify({ code: 0, stdout: "", stderr: "", ...(await this.#run(args, input)) }));
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Puts wrangler into a folder's node_modules. */
  installWrangler(folder) {
    mkdirSync(join(folder, "node_modules/wrangler/bin"), { recursive: true });
    writeFileSync(join(folder, "node_modules/wrangler/package.json"), '{"name":"wrangler","version":"4.164.0"}');
    writeFileSync(join(folder, "node_modules/wrangler/bin/wrangler.js"), WRANGLER.replace("CLOUD", `http://127.0.0.1:${this.#server.address().port}`));
    this.folder = folder;
  }

  /** Fails the next call that has `word` in its arguments, before it does anything. */
  failNext(word) {
    this.#failing = word;
  }

  get deployed() {
    return this.versions.find(({ id }) => id === this.deployments.at(-1));
  }

  /** The calls that change something. */
  get changes() {
    return this.calls.filter((args) => args[0] === "deploy" || args.includes("bulk") || args[1] === "deploy");
  }

  async #run(args, input) {
    this.calls.push(args);
    if (input !== "") this.inputs.push(input);
    if (this.#failing !== undefined && args.includes(this.#failing)) {
      this.#failing = undefined;
      return { code: 1, stderr: "✘ [ERROR] the network is down" };
    }
    const [first, second, third] = args;
    if (first === "deploy") return this.#deploy(args, input);
    if (`${first} ${second}` === "versions deploy") return this.#deployVersion(args, third);
    if (`${first} ${second} ${third}` === "versions secret bulk") return this.#patch(args, JSON.parse(input));
    if (`${first} ${second}` === "versions view") return { stdout: JSON.stringify(detailsOf(this.versions.find(({ id }) => id === third))) };
    if (`${first} ${second}` === "versions list") return { stdout: `Proxy environment variables detected.\n${JSON.stringify(this.versions.map(shownVersion), undefined, 2)}` };
    if (first === "deployments") return this.#showDeployments(second);
    return { code: 1, stderr: `wrangler does not know ${args.join(" ")}` };
  }

  async #deploy(args, input) {
    const secrets = { ...this.versions.at(-1)?.secrets, ...(input === "" ? {} : JSON.parse(input)) };
    const version = this.#add({ secrets, build: this.build, message: undefined, vars: this.#vars() });
    await this.#put(version, args);
    return { report: [{ type: "wrangler-session" }, { type: "deploy", version_id: version.id, targets: this.url === undefined ? [] : [this.url] }] };
  }

  #vars() {
    return JSON.parse(readFileSync(join(this.folder, ".valetkey/wrangler.json"), "utf8")).vars;
  }

  async #deployVersion(args, spec) {
    const version = this.versions.find(({ id }) => `${id}@100%` === spec);
    if (version === undefined) return { code: 1, stderr: `no version ${spec}` };
    await this.#put(version, args);
    return { stdout: "Deployed" };
  }

  /** Changes secrets of the latest version, which need not be the deployed one. */
  #patch(args, changes) {
    const latest = this.versions.at(-1);
    const secrets = Object.fromEntries(Object.entries({ ...latest.secrets, ...changes }).filter(([, value]) => value !== null));
    const { id } = this.#add({ ...latest, secrets, message: args[args.indexOf("--message") + 1] });
    return { stdout: `Success! Created version ${id}` };
  }

  #add(version) {
    const added = { ...version, id: randomUUID() };
    this.versions.push(added);
    return added;
  }

  async #put(version, args) {
    const mode = args.includes("--durable-objects-code-update-mode") ? args[args.indexOf("--durable-objects-code-update-mode") + 1] : "deferred";
    this.deployments.push(version.id);
    await this.onDeploy(version, mode);
  }

  #showDeployments(command) {
    const shown = this.deployments.map((id) => ({ versions: [{ version_id: id, percentage: 100 }] }));
    if (command === "list") return { stdout: JSON.stringify(shown) };
    if (shown.length === 0) return { code: 1, stderr: "✘ [ERROR] This Worker does not exist on your account. [code: 10007]" };
    return { stdout: JSON.stringify(shown.at(-1)) };
  }
}

/** A version with its bindings, as Cloudflare's API has them. */
function detailsOf({ id, vars, secrets }) {
  const texts = Object.entries(vars).map(([name, text]) => ({ type: "plain_text", name, text }));
  const hidden = Object.keys(secrets).map((name) => ({ type: "secret_text", name }));
  return { id, resources: { bindings: [...hidden, ...texts] } };
}

function shownVersion({ id, message }) {
  return { id, annotations: message === undefined ? {} : { "workers/message": message } };
}
