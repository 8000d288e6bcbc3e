// Where the gateway answers: the running `valetkey dev`, or the deployment. Both are noted in .valetkey/.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Failure } from "../failure.ts";
import { GENERATED, type Project } from "./folder.ts";

export type Kind = "dev" | "deployment";

export interface Address {
  url: string;
  /** True if the vendor behind it is the stand-in. */
  isMock?: boolean;
  /** True for `valetkey dev`, which has no certificate. */
  isDev?: boolean;
}

/** Notes where the gateway answers. */
export function noteAddress(project: Project, kind: Kind, address: Address): void {
  mkdirSync(project.path(GENERATED), { recursive: true });
  writeFileSync(project.path(GENERATED, `${kind}.json`), `${JSON.stringify(address)}\n`);
}

/** Forgets that a `valetkey dev` runs at `url`. Another one may have been noted since. */
export function forgetDev(project: Project, url: string): void {
  if (noted(project, "dev")?.url === url) rmSync(project.path(GENERATED, "dev.json"), { force: true });
}

function noted(project: Project, kind: Kind): Address | undefined {
  const path = project.path(GENERATED, `${kind}.json`);
  try {
    return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Address) : undefined;
  } catch {
    // A command was interrupted while it wrote the note.
    return undefined;
  }
}

/** Returns where the gateway was last deployed. */
export function notedDeployment(project: Project): Address | undefined {
  return noted(project, "deployment");
}

/** Returns where the gateway answers: `url`, or the running dev, or the deployment. */
export async function findGateway(project: Project, url: string | undefined): Promise<Address> {
  const dev = noted(project, "dev");
  if (url !== undefined) {
    return dev !== undefined && dev.url === originOf(url) ? dev : { url: safeOrigin(url, "--url") };
  }
  if (dev !== undefined && (await answers(dev.url))) return dev;
  const deployment = notedDeployment(project);
  if (deployment !== undefined) return deployment;
  throw new Failure("No gateway runs yet: start one with `npx --no-install valetkey dev`, or deploy one, or name one with --url.");
}

/** Returns an address as an origin. Throws if a token sent there could be read on the way. `name` is what the user gave it as. */
export function safeOrigin(url: string, name: string): string {
  const origin = originOf(url);
  if (origin !== undefined && isSafe(origin)) return origin;
  throw new Failure(`${name} is the gateway's https address without a path, such as https://my-gateway.example.workers.dev, or http on this machine.`);
}

/** Returns the origin of an address, if it has no path. */
function originOf(url: string): string | undefined {
  const origin = URL.canParse(url) ? new URL(url).origin : undefined;
  return origin === url.replace(/\/+$/, "").toLowerCase() ? origin : undefined;
}

/** Returns whether a token may be sent there: nobody on the way can read it. */
function isSafe(origin: string): boolean {
  return /^https:|^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/.test(origin);
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}
