import { writeFileSync } from "node:fs";
import { jsonOf } from "../bounded.ts";
import { Failure, messageOf } from "../failure.ts";
import { findGateway } from "../project/addresses.ts";
import { checkProject } from "../project/check.ts";
import { findProject, type Project, SETTINGS_FILE } from "../project/folder.ts";
import { signToken } from "../project/tokens.ts";
import { type Command, text } from "./command.ts";

const DEFAULT_FILE = "valetkey-models.d.ts";
/** The most bytes of a list of models. POLICY has at most 200 KB. */
const MODELS_MAX_BYTES = 1024 * 1024;

/** A rule for one input, as POLICY and `GET /v1/models` have it. */
interface InputRule {
  type?: unknown;
  required?: unknown;
  enum?: unknown;
  format?: unknown;
  items?: InputRule;
  max_length?: unknown;
  default?: unknown;
}

type Models = Record<string, { input?: Record<string, InputRule> }>;

export const types: Command = {
  summary: "Writes the types of your models for the TypeScript client",
  details: `
With the file in your app's sources, the compiler refuses a misspelled model or input. Reads the POLICY of ${SETTINGS_FILE}, or
with --url the models of a deployment.
`,
  options: {
    out: { type: "string", value: "FILE", help: `default: ${DEFAULT_FILE}; - is standard output` },
    url: { type: "string", value: "URL", help: "asks the gateway at this address for its models" },
  },
  async run(options) {
    const project = findProject();
    const url = text(options, "url");
    const { values } = checkProject(project, { for: "dev" });
    const models = url === undefined ? policyModels(values["POLICY"]) : await deployedModels(project, url, values["ISSUERS"]);
    const declaration = declarationOf(models, url ?? SETTINGS_FILE);
    const out = text(options, "out") ?? DEFAULT_FILE;
    if (out === "-") return void process.stdout.write(declaration);
    try {
      writeFileSync(out, declaration);
    } catch (thrown) {
      throw new Failure(`${out} cannot be written (${messageOf(thrown)}): choose another file with --out.`);
    }
    console.log(`${out}: the inputs of ${Object.keys(models).join(", ")}`);
  },
};

function policyModels(policy: unknown): Models {
  const models = (policy as { models?: unknown } | undefined)?.models;
  const entries = typeof models === "object" && models !== null ? Object.entries(models) : [];
  const found = modelsOf(entries);
  if (found === undefined || entries.length === 0) throw new Failure("POLICY has no models, or wrong ones: `valetkey check` says what is wrong.");
  return found;
}

async function deployedModels(project: Project, url: string, issuers: unknown): Promise<Models> {
  const token = await signToken(project, issuers, { subject: "cli", minutes: 5, scopes: ["read"] });
  const address = `${(await findGateway(project, url)).url}/v1/models`;
  let response: Response;
  try {
    response = await fetch(address, { headers: { authorization: `Bearer ${token}` }, redirect: "manual", signal: AbortSignal.timeout(20_000) });
  } catch (thrown) {
    throw new Failure(`${address} does not answer (${messageOf(thrown)}): check --url.`);
  }
  if (!response.ok) throw new Failure(`${address} answered with status ${response.status}: is VALETKEY_CLI_SECRET the one of that deployment?`);
  const models = modelsIn(await jsonOf(response, MODELS_MAX_BYTES));
  if (models === undefined) throw new Failure(`${address} did not answer with a list of models: check --url.`);
  return models;
}

/** Returns the models of `GET /v1/models`, if it is one. */
function modelsIn(body: unknown): Models | undefined {
  const data = (body as { data?: unknown } | null | undefined)?.data;
  return Array.isArray(data) ? modelsOf(data.map((model: { id?: unknown } | null) => [model?.id, model])) : undefined;
}

/** Returns models by name, if each has rules for its inputs. */
function modelsOf(entries: [unknown, unknown][]): Models | undefined {
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
  const areRules = (input: unknown): boolean => isObject(input) && Object.values(input).every(isObject);
  const areModels = entries.every(([name, model]) => typeof name === "string" && isObject(model) && areRules(model["input"]));
  return areModels ? (Object.fromEntries(entries) as Models) : undefined;
}

/** Returns a module that adds the models to the client's `interface Models`. */
export function declarationOf(models: Models, source: string): string {
  const entries = Object.entries(models).map(([name, { input = {} }]) => {
    const members = Object.entries(input).map(([input, rule]) => {
      const mark = rule.required === true ? "" : "?";
      return `${comment(rule)}      ${JSON.stringify(input)}${mark}: ${typeOf(rule)};\n`;
    });
    return `    ${JSON.stringify(name)}: {\n${members.join("")}    };\n`;
  });
  const types = entries.join("");
  const head = types.includes("FileInput") ? 'import type { FileInput } from "valetkey"' : 'import "valetkey"';
  return `// Written by \`valetkey types\` from ${source}. Write it again after a change of the models.
${head};

declare module "valetkey" {
  interface Models {
${types}  }
}
`;
}

function typeOf(rule: InputRule): string {
  if (Array.isArray(rule.enum)) return rule.enum.map((value) => JSON.stringify(value)).join(" | ");
  switch (rule.type) {
    case "string":
      return rule.format === "file" ? "FileInput" : "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "array":
      return `(${rule.items === undefined ? "unknown" : typeOf(rule.items)})[]`;
    default:
      return "unknown";
  }
}

/** A gateway's text may hold anything. As JSON it stays on its line; here it also stays in the comment. */
function quoted(value: unknown): string {
  return JSON.stringify(value).replaceAll("*/", "* /");
}

function comment({ format, max_length, default: standard }: InputRule): string {
  const notes = [
    format === "file" ? "A file, or the `file_…` id of one." : "",
    format === "https-url" ? "An https URL." : "",
    max_length === undefined ? "" : `At most ${quoted(max_length)} characters.`,
    standard === undefined ? "" : `Default: ${quoted(standard)}.`,
  ].filter((note) => note !== "");
  return notes.length === 0 ? "" : `      /** ${notes.join(" ")} */\n`;
}
