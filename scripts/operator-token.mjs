// `make operator-token`: prints a token for the operator's page of `make dev`, which keeps its secrets in .dev/.
import { resolve } from "node:path";
import { Project } from "../cli/src/project/folder.ts";
import { operatorIssuer, signOperatorToken } from "../cli/src/project/tokens.ts";

try {
  console.log(await signOperatorToken(new Project(resolve(import.meta.dirname, "../.dev")), [operatorIssuer()], {}));
} catch (thrown) {
  console.error(`No token: ${thrown.message} Did \`make dev\` ever run here?`);
  process.exitCode = 1;
}
