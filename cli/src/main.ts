// The command line: finds the command, parses its options, and turns failures into one sentence and exit code 1.
import { parseArgs } from "node:util";
import { check } from "./commands/check.ts";
import type { Command, Option, Options } from "./commands/command.ts";
import { deploy } from "./commands/deploy.ts";
import { dev } from "./commands/dev.ts";
import { picture } from "./commands/picture.ts";
import { rollback } from "./commands/rollback.ts";
import { rotate } from "./commands/rotate.ts";
import { status } from "./commands/status.ts";
import { token } from "./commands/token.ts";
import { types } from "./commands/types.ts";
import { create } from "./create/create.ts";
import { Failure, messageOf } from "./failure.ts";
import { packageVersion } from "./package.ts";
import { printable } from "./terminal.ts";

const COMMANDS: Record<string, Command> = { create, check, dev, deploy, rollback, rotate, status, picture, token, types };

/** Runs the command of `args`. Sets the exit code: 0, or 1 with one sentence on standard error. */
export async function main(args: string[]): Promise<void> {
  try {
    await run(args);
  } catch (thrown) {
    if (!(thrown instanceof Failure) && process.env["VALETKEY_DEBUG"]) console.error(thrown);
    console.error(`\n${printable(messageOf(thrown))}`);
    process.exitCode = 1;
  }
}

async function run(args: string[]): Promise<void> {
  const [name, ...rest] = args;
  if (name === "--version") return console.log(packageVersion());
  if (name === undefined || name === "--help" || name === "-h" || name === "help") return console.log(overview());
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    throw new Failure(`There is no command ${JSON.stringify(name)}: \`valetkey --help\` lists them.`);
  }
  const { values, positionals } = parse(name, command, rest);
  if (values["help"] === true) return console.log(helpOf(name, command));
  await command.run(values, positionals);
}

function parse(name: string, command: Command, args: string[]): { values: Options; positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries<Option>({ ...command.options, help: { type: "boolean", help: "" } }).map(([flag, { type, multiple = false }]) => [flag, { type, multiple }]),
  );
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: command.argument !== undefined, strict: true });
    return { values: values as Options, positionals };
  } catch (thrown) {
    // Its second sentence is about arguments that begin with a dash.
    throw new Failure(`${messageOf(thrown).replace(/(?<=')\. [^]*|\.?$/, ".")} \`valetkey ${name} --help\` lists the options.`);
  }
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`);
  return `valetkey ${packageVersion()}: a gateway that keeps your API key and lends it to browsers and phones

Usage: valetkey COMMAND [OPTIONS]

${lines.join("\n")}

\`valetkey COMMAND --help\` explains a command.`;
}

function helpOf(name: string, { summary, argument, details, options }: Command): string {
  const flags = Object.entries(options).map(([flag, { type, value = "VALUE", help }]) => {
    const shown = type === "string" ? `--${flag} ${value}` : `--${flag}`;
    return `  ${shown.padEnd(24)} ${help}`;
  });
  const list = flags.length > 0 ? `\n\nOptions:\n${flags.join("\n")}` : "";
  return `Usage: valetkey ${name}${argument === undefined ? "" : ` ${argument}`}${flags.length > 0 ? " [OPTIONS]" : ""}

${summary}
${(details ?? "").trimEnd()}${list}`.trimEnd();
}
