import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type Command } from "../commands/command.ts";
import { Failure } from "../failure.ts";
import { isFromRegistry, PACKAGE, PACKAGE_NAME, packageVersion } from "../package.ts";
import { checkProject } from "../project/check.ts";
import { copySchema, Project, SECRETS_FILE, SETTINGS_FILE, WORKER_FILE } from "../project/folder.ts";
import { shown } from "../project/located.ts";
import { writeSecretsFile } from "../project/secrets.ts";
import { exitOf } from "../project/wrangler.ts";
import { whileShowing } from "../terminal.ts";
import { type Answers, ask, BACKEND, GUESTS } from "./answers.ts";
import { GITIGNORE, manifest, NPMRC, readme, secretsExample, workerConfiguration } from "./files.ts";
import { PROVIDERS } from "./providers.ts";
import { SECRET_COMMENTS, secretsOf, settingsText } from "./settings.ts";

export const create: Command = {
  summary: "Writes a folder with a gateway of your own",
  argument: "[FOLDER]",
  details: `
Asks for what it needs. In CI, or with --yes, it asks nothing: answers come from flags and the environment. The vendor's key
comes from DEEPCREATIVE_API_KEY or --key-file, never from an argument, which every process on the machine could read.
`,
  options: {
    "sign-in": { type: "string", value: "WAY", help: `${[BACKEND, ...Object.keys(PROVIDERS), GUESTS].join(", ")}` },
    origin: { type: "string", multiple: true, value: "ORIGIN", help: "a page's origin; may be repeated; none" },
    "key-file": { type: "string", value: "FILE", help: "a file with the vendor's key; - is standard input" },
    domain: { type: "string", help: "the provider's domain (auth0, clerk, access)" },
    audience: { type: "string", help: "the tokens' audience (auth0, clerk, access)" },
    project: { type: "string", help: "the project's id (firebase, supabase, stytch)" },
    pool: { type: "string", help: "the user pool's id (cognito)" },
    "client-id": { type: "string", help: "the client's id (cognito, entra, google)" },
    tenant: { type: "string", help: "the tenant's id (entra)" },
    "public-url": { type: "string", value: "URL", help: "the gateway's address (guests)" },
    "no-cli-issuer": { type: "boolean", help: "no tokens of `valetkey token`, and no pause in `valetkey deploy`" },
    "no-install": { type: "boolean", help: "does not run npm install" },
    yes: { type: "boolean", help: "asks nothing" },
  },
  async run(options, positionals) {
    if (positionals.length > 1) throw new Failure("Name one folder: `create-valetkey my-gateway`.");
    const answers = await ask(options, positionals);
    const project = new Project(resolve(answers.folder));
    const name = basename(project.root);
    await write(project, name, answers);
    reportProblems(project, answers);
    if (options["no-install"] !== true) await install(project);
    console.log(nextSteps(answers, options["no-install"] === true));
  },
};

async function write(project: Project, name: string, answers: Answers): Promise<void> {
  const hadFolder = existsSync(project.root);
  mkdirSync(project.root, { recursive: true });
  try {
    await writeFiles(project, name, answers);
  } catch (thrown) {
    // Otherwise the next attempt finds a folder that is not empty.
    for (const file of readdirSync(project.root)) rmSync(project.path(file), { recursive: true, force: true });
    if (!hadFolder) rmdirSync(project.root);
    throw thrown;
  }
}

async function writeFiles(project: Project, name: string, answers: Answers): Promise<void> {
  const files: Record<string, string> = {
    [SETTINGS_FILE]: settingsText(answers),
    [WORKER_FILE]: workerConfiguration(name),
    ".gitignore": GITIGNORE,
    ".npmrc": NPMRC,
    ".dev.vars.example": secretsExample(answers),
    "README.md": readme(name, answers),
    "package.json": manifest(name, await packageSource(project)),
  };
  for (const [file, content] of Object.entries(files)) writeFileSync(project.path(file), content);
  copySchema(project);
  writeSecretsFile(project, secretsOf(answers), SECRET_COMMENTS);
}

/**
 * Returns where the folder's package.json finds this package. A package that did not come from the registry is packed into
 * the folder: another package of its name must never be installed in its place, because it would read the key.
 */
async function packageSource(project: Project): Promise<string> {
  if (isFromRegistry()) return packageVersion();
  const folder = project.path("vendor");
  mkdirSync(folder);
  const code = await exitOf(npm(["pack", "--silent", "--ignore-scripts", "--pack-destination", folder, PACKAGE], project.root));
  const file = `${PACKAGE_NAME}-${packageVersion()}.tgz`;
  if (code !== 0 || !existsSync(join(folder, file))) throw new Failure(`npm could not pack ${PACKAGE}: its output above says why.`);
  return `file:vendor/${file}`;
}

/** Starts npm, whose output goes to standard error: standard output is for results. */
function npm(args: string[], cwd: string): ReturnType<typeof spawn> {
  // On Windows npm is a batch file, which only a shell runs. Paths there may have blanks.
  const isWindows = process.platform === "win32";
  return spawn("npm", isWindows ? args.map((arg) => `"${arg}"`) : args, { cwd, stdio: ["ignore", "ignore", "inherit"], shell: isWindows });
}

async function install(project: Project): Promise<void> {
  const args = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
  const code = await whileShowing("npm install: wrangler and the gateway", () => exitOf(npm(args, project.root)));
  if (code !== 0) throw new Failure(`npm install ended with code ${code}: run it again in ${project.root}.`);
}

/** Answers may be wrong, such as an origin with a path. The folder is there all the same, and `check` names them again. */
function reportProblems(project: Project, answers: Answers): void {
  const isLater = (text: string): boolean => answers.vendorKey === undefined && text.startsWith("DEEPCREATIVE_API_KEY: is missing");
  for (const problem of checkProject(project, { for: "deploy" }).problems) if (!isLater(problem.text)) console.error(shown(problem));
}

function nextSteps({ folder, vendorKey }: Answers, isInstallLeft: boolean): string {
  const key = vendorKey === undefined ? `\nPut the vendor's key into ${SECRETS_FILE} before \`deploy\`: DEEPCREATIVE_API_KEY='sk_live_…'` : "";
  return `
${folder} is ready.${key}

  cd ${folder}${isInstallLeft ? "\n  npm install" : ""}
  npx --no-install valetkey dev${vendorKey === undefined ? " --mock" : ""}
  npx --no-install valetkey picture "A serene Japanese garden"     # in another terminal
  npx --no-install valetkey deploy`;
}
