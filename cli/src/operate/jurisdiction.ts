// A gateway never changes its jurisdiction: in another one, the same names are other objects, without any data.
import { Failure } from "../failure.ts";
import type { Project } from "../project/folder.ts";
import { whileShowing } from "../terminal.ts";
import { variableOf } from "./versions.ts";

/** The setting. */
export const JURISDICTION = "JURISDICTION";

/** Throws if what is to be deployed has another jurisdiction than the deployed version. */
export async function refuseOtherJurisdiction(project: Project, deployed: string, wanted: string | undefined): Promise<void> {
  const present = await jurisdictionOf(project, deployed);
  if (present === wanted) return;
  throw new Failure(
    `${JURISDICTION} would change from ${shown(present)} to ${shown(wanted)}, and nothing was deployed: the gateway would start without predictions, budgets and revocations, ` +
      "while the objects of now still send what waits there. Set it back, or deploy under another name.",
  );
}

/** Returns the jurisdiction of a version, if it has one. */
export function jurisdictionOf(project: Project, version: string): Promise<string | undefined> {
  return whileShowing(`Asking Cloudflare for the settings of ${version}`, () => variableOf(project, version, JURISDICTION));
}

function shown(jurisdiction: string | undefined): string {
  return jurisdiction === undefined ? "none" : `"${jurisdiction}"`;
}
