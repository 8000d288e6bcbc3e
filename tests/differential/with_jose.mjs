// Prints jose's verdict on each token of a file: `accepted`, or the error's code. The file's first line is the setting.

import { readFileSync } from "node:fs";
import { decodeProtectedHeader, importJWK, jwtVerify } from "jose";

const [setting, ...tokens] = readFileSync(process.argv[2], "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));

const issuers = await Promise.all(
  setting.issuers.map(async ({ issuer, keys }) => {
    const imported = await Promise.all(keys.map(async (jwk) => [jwk.kid, { key: await importJWK(jwk, jwk.alg), alg: jwk.alg }]));
    return { issuer, keys: new Map(imported) };
  }),
);

/**
 * Verifies as jose's documentation says: the key of `kid`, or the only one if it has no name; its one algorithm, issuer,
 * audience, required claims.
 */
async function verdict(token, { issuer, keys }) {
  try {
    const { kid } = decodeProtectedHeader(token);
    const found = keys.get(undefined) ?? keys.get(kid);
    if (!found) return "no such key";
    await jwtVerify(token, found.key, {
      algorithms: [found.alg],
      issuer,
      audience: setting.audience,
      clockTolerance: setting.leeway,
      currentDate: new Date(setting.now * 1000),
      requiredClaims: ["exp", "iat", "sub"],
    });
    return "accepted";
  } catch (error) {
    return error.claim ? `${error.code} ${error.claim}` : (error.code ?? error.name);
  }
}

const lines = [];
for (const token of tokens) {
  const verdicts = [];
  for (const issuer of issuers) verdicts.push(await verdict(token, issuer));
  // Prefers the verdict of the issuer that knows the key: "no such key" from the others says nothing.
  lines.push(verdicts.find((said) => said === "accepted") ?? verdicts.find((said) => said !== "no such key") ?? verdicts[0]);
}
process.stdout.write(`${lines.join("\n")}\n`);
