import type { ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { forgetDev, noteAddress } from "../project/addresses.ts";
import { checkProject } from "../project/check.ts";
import { findProject, type Project } from "../project/folder.ts";
import { removeDevConfiguration, writeDevConfiguration } from "../project/generated.ts";
import { newVendorKey } from "../project/keys.ts";
import { readSecretsFile } from "../project/secrets.ts";
import { exitOf, startWrangler } from "../project/wrangler.ts";
import { startStandIn } from "../stand-in/vendor.ts";
import { Progress } from "../terminal.ts";
import { checked } from "./check.ts";
import { type Command, text } from "./command.ts";

const DEFAULT_PORT = 8787;
const LOOPBACK = "127.0.0.1";

export const dev: Command = {
  summary: "Runs the gateway on this machine",
  details: `
Starts the Worker on workerd, as Cloudflare runs it. With --mock a stand-in plays the vendor: it needs no key, costs nothing, and
its pictures say that they are stand-ins. Stop it with Ctrl+C.
`,
  options: {
    mock: { type: "boolean", help: "a stand-in instead of the vendor" },
    lan: { type: "boolean", help: "phones on the same network may call it too" },
    port: { type: "string", value: "N", help: `default: ${DEFAULT_PORT}` },
  },
  async run(options) {
    const project = findProject();
    const isMock = options["mock"] === true;
    const address = options["lan"] === true ? lanAddress() : LOOPBACK;
    const port = portOf(text(options, "port"));
    await ensureFree(address, port);
    const changes: Record<string, unknown> = { ...(options["lan"] === true && { DEV_LAN: "on" }) };
    const { values } = checkProject(project, { for: "dev" });
    if ("PUBLIC_URL" in values) changes["PUBLIC_URL"] = `http://${address}:${port}`;
    if (isMock) Object.assign(changes, await mockSettings(values, address));
    const standIns = isMock ? { DEEPCREATIVE_API_KEY: newVendorKey() } : {};
    const { secrets, worker, variables } = checked(project, { for: "dev", changes, standIns });
    // A stand-in never gets the vendor's key.
    const all: Record<string, string> = { ...readSecretsFile(project), ...secrets, ...standIns };
    if (isMock) delete all["DEEPCREATIVE_API_KEY_NEXT"];
    const folder = writeDevConfiguration(project, port, { worker, variables, secrets: all });
    await runWorker(project, { address, port, isMock, isOnLan: options["lan"] === true, hasOperators: hasOperators(values["ISSUERS"]), folder });
  },
};

function portOf(value: string | undefined): number {
  const port = value === undefined ? DEFAULT_PORT : Number(value);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Failure("--port is a number from 1 to 65535.");
}

/** Throws if another program has the port: before anything is written that another `valetkey dev` may be using. */
function ensureFree(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      const problem = code === "EADDRINUSE" ? "is in use: stop what uses it, or choose" : `cannot be used (${code}): choose`;
      reject(new Failure(`Port ${port} ${problem} another with --port.`));
    });
    server.listen(port, address, () => server.close(() => resolve()));
  });
}

/** Networks of containers, virtual machines and tunnels, where no phone is. */
const VIRTUAL = /^(?:br-|docker|podman|tailscale|tap|tun|utun|vboxnet|veth|virbr|vmnet|wg|zt)/;

/** Returns this machine's first private IPv4 address. */
function lanAddress(): string {
  const interfaces = Object.entries(networkInterfaces()).sort(([one], [other]) => Number(VIRTUAL.test(one)) - Number(VIRTUAL.test(other)));
  const found = interfaces.flatMap(([, addresses]) => addresses ?? []).find(({ family, address }) => family === "IPv4" && /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address));
  if (found === undefined) throw new Failure("This machine has no private IPv4 address: connect it to the phone's network, or leave out --lan.");
  return found.address;
}

/** Starts the stand-in. Returns the settings that lead to it. */
async function mockSettings(values: Record<string, unknown>, address: string): Promise<Record<string, unknown>> {
  const policy = values["POLICY"] as { models?: Record<string, unknown> } | undefined;
  const models = Object.keys(policy?.models ?? {});
  // Pictures are fetched by the phone. Turnstile's part is for the Worker alone, which asks loopback hosts by http.
  const [vendor, turnstile] = [await startStandIn({ host: address, models, guestHost: address }), await startStandIn({ host: LOOPBACK, models, guestHost: address })];
  // The Worker's process keeps this one running.
  for (const { server } of [vendor, turnstile]) server.unref();
  return { UPSTREAM_URL: `http://${address}:${vendor.port}/v1`, TURNSTILE_URL: `http://${LOOPBACK}:${turnstile.port}/siteverify` };
}

interface Running {
  address: string;
  port: number;
  isMock: boolean;
  isOnLan: boolean;
  /** True if there is the operator's page. */
  hasOperators: boolean;
  /** The folder of the configuration. */
  folder: string;
}

/** Runs the Worker until it ends or the user stops it. */
async function runWorker(project: Project, { address, port, isMock, isOnLan, hasOperators, folder }: Running): Promise<void> {
  const url = `http://${address}:${port}`;
  const clean = (): void => {
    forgetDev(project, url);
    removeDevConfiguration(project, port);
  };
  let child: ChildProcess | undefined;
  let isStopped = false;
  // Cleans at once: npx may end before the Worker does, and the terminal with it.
  const stop = (): void => {
    isStopped = true;
    clean();
    child?.kill("SIGTERM");
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, stop);
  const progress = new Progress("Starting the Worker");
  const configuration = ["--config", join(folder, "wrangler.json"), "--persist-to", project.path(".wrangler/state")];
  const flags = ["--ip", address, "--port", String(port), "--inspector-port", "0", "--show-interactive-dev-session=false"];
  // wrangler's explorer shows and changes what is stored. It trusts a Host header, which anybody on the network can send.
  const env = { CI: "true", ...(isOnLan && { X_LOCAL_EXPLORER: "false" }) };
  child = startWrangler(project, ["dev", ...configuration, ...flags], ["ignore", "pipe", "pipe"], env);
  let output = "";
  let isReady = false;
  const show = (text: string): void => {
    if (isStopped) return;
    if (isReady) return void process.stdout.write(text);
    output += text;
    if (!output.includes("Ready on")) return;
    isReady = true;
    progress.end(`Running at ${url}`);
    noteAddress(project, "dev", { url, isMock, isDev: true });
    console.log(greeting(url, isMock, hasOperators));
  };
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", show);
  const code = await exitOf(child);
  clean();
  if (!isReady) progress.end(isStopped ? "Stopped" : "The Worker did not start");
  if (isStopped) return;
  if (!isReady) console.error(output.trim());
  throw new Failure(`wrangler ended with code ${code}: its output above says why.`);
}

/** Returns true if an issuer has `use: admin`. */
function hasOperators(issuers: unknown): boolean {
  const all = Array.isArray(issuers) ? (issuers as ({ use?: unknown } | null)[]) : [];
  return all.some((issuer) => Array.isArray(issuer?.use) && issuer.use.includes("admin"));
}

function greeting(url: string, isMock: boolean, hasPage: boolean): string {
  const vendor = isMock ? "A stand-in plays the vendor: nothing is paid, and its pictures say what they are." : "Predictions cost credits of your key.";
  return `
${vendor} Press Ctrl+C to stop. In another terminal:

  npx --no-install valetkey picture "A serene Japanese garden"
  curl ${url}/readyz
${hasPage ? `\nThe operator's page is ${url}/admin/ and takes the token that this prints:\n\n  npx --no-install valetkey token --operator\n` : ""}`;
}
