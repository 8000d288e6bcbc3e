import { Failure } from "../failure.ts";
import { checkProject, type CheckOptions, type Checked } from "../project/check.ts";
import { findProject, refreshSchema, type Project, SECRETS_FILE, SETTINGS_FILE } from "../project/folder.ts";
import { writeConfiguration } from "../project/generated.ts";
import { shown } from "../project/located.ts";
import type { Command } from "./command.ts";

/**
 * Checks the settings, and prints every problem. For a deployment, writes what wrangler reads.
 *
 * Throws if there is a problem.
 */
export function checked(project: Project, options: CheckOptions): Checked {
  const result = checkProject(project, options);
  const errors = result.problems.filter(({ isWarning = false }) => !isWarning);
  for (const problem of result.problems) console.error(shown(problem));
  if (errors.length > 0) {
    const count = errors.length === 1 ? "1 problem" : `${errors.length} problems`;
    throw new Failure(`The settings have ${count}: correct ${errors.length === 1 ? "it" : "them"} in the lines above.`);
  }
  if (result.unchecked.length > 0) console.error(`Not in ${SECRETS_FILE} or the environment, so not checked: ${result.unchecked.join(", ")}`);
  if (options.for === "deploy") {
    writeConfiguration(project, result.worker, result.variables);
    refreshSchema(project);
  }
  return result;
}

export const check: Command = {
  summary: "Names every problem of the settings, with line and column",
  details: `
The Worker's own parser decides, so a deployment of these settings is ready. Writes what wrangler reads to .valetkey/.
In CI, secrets that are not there are replaced by stand-ins.
`,
  options: {},
  async run() {
    const { variables, secrets } = checked(findProject(), { for: "deploy" });
    console.log(`${SETTINGS_FILE} is right: ${Object.keys(variables).length} variables, ${Object.keys(secrets).length} secrets.`);
  },
};
