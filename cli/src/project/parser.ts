// The Worker's own parser of settings, as a module for Node (check/ in the repository).
import { createRequire } from "node:module";
import { join } from "node:path";
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

let loaded: CheckModule | undefined;

/** Returns every problem of settings. `host` is the host that the Worker will be called by. */
export function parserProblems(settings: Record<string, string>, host: string | null): ParserProblem[] {
  loaded ??= createRequire(import.meta.url)(join(PACKAGE, "lib/check.cjs")) as CheckModule;
  const reply = JSON.parse(loaded.check(JSON.stringify({ settings, host }))) as { problems: ParserProblem[] };
  return reply.problems;
}
