// The Worker's own parser of settings, as a module for Node (check/ in the repository).
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { PACKAGE } from "../package.ts";
import type { Path } from "./located.ts";

/** A problem as the parser reports it: the setting, the rule with its place, and the place again as names and indices. */
export interface ParserProblem {
  name: string;
  problem: string;
  at: Path;
}

interface CheckModule {
  check(request: string): string;
}

/** In the package, and where `make` builds it for the repository's own scripts. */
const PLACES = ["lib/check.cjs", "../build/check/check.cjs"].map((place) => join(PACKAGE, place));

let loaded: CheckModule | undefined;

function load(): CheckModule {
  const place = PLACES.find((place) => existsSync(place));
  if (place === undefined) throw new Failure("The module that checks settings is missing: run `make bundle`.");
  return createRequire(import.meta.url)(place) as CheckModule;
}

/** Returns every problem of settings. `host` is the host that the Worker will be called by. */
export function parserProblems(settings: Record<string, string>, host: string | null): ParserProblem[] {
  loaded ??= load();
  const reply = JSON.parse(loaded.check(JSON.stringify({ settings, host }))) as { problems: ParserProblem[] };
  return reply.problems;
}
