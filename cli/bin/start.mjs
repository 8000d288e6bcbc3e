// Checks the version of Node before the tool is loaded: an older Node cannot even parse it. So this file uses old syntax.

/** The oldest Node that wrangler runs on. */
const OLDEST = [22, 12];

export function start(args) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    console.error(`valetkey needs Node ${OLDEST.join(".")} or newer, and this is ${process.versions.node}: install a newer one from https://nodejs.org.`);
    process.exit(1);
  }
  import("../lib/valetkey.mjs").then(
    (tool) => tool.main(args),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}
