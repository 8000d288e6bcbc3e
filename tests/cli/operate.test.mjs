// The commands for operators, beside a wrangler and a Cloudflare that only note what they are asked, and a gateway of a few lines:
// deploy in a pause, rollback, rotate, status.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { linkSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { fingerprintOf } from "../../cli/src/project/keys.ts";
import { Cloud } from "./cloud.mjs";
import { addVendorKey, createGateway, runTool, VENDOR_KEY } from "./machine.mjs";
import { StandInGateway } from "./stand_in_gateway.mjs";

const NEW_KEY = "sk_live_Next0Next1Next2Next3Next4";
const { tool, gateway: project } = await createGateway("operate");
addVendorKey(project);
const SECRETS = readFileSync(join(project, ".dev.vars"), "utf8");
const SETTINGS = readFileSync(join(project, "valetkey.jsonc"), "utf8");

let cloud;
let gateway;

/** A folder whose first version is deployed and runs. */
beforeEach(async () => {
  cloud?.stop();
  gateway?.stop();
  writeFileSync(join(project, ".dev.vars"), SECRETS);
  writeFileSync(join(project, "valetkey.jsonc"), SETTINGS);
  [cloud, gateway] = await Promise.all([new Cloud().start(), new StandInGateway().start()]);
  cloud.installWrangler(project);
  cloud.url = gateway.url;
  cloud.onDeploy = async ({ id, secrets }, mode) => {
    gateway.events.push(`deploy ${mode}`);
    gateway.run(id);
    gateway.fingerprint = fingerprintOf(secrets.DEEPCREATIVE_API_KEY);
    const migrations = { dispatcher: 5, ledger: 4 };
    gateway.keysByVersion.push({ version_id: id, fingerprint: gateway.fingerprint, seen_at: "2026-11-30T10:00:00Z", migrations });
  };
  const { code, all } = await valetkey(["deploy"]);
  assert.equal(code, 0, all);
  assert.deepEqual(gateway.events, ["deploy deferred"], "a new Worker has nothing to pause");
  gateway.events.length = 0;
  cloud.calls.length = 0;
});

after(() => {
  cloud.stop();
  gateway.stop();
});

function valetkey(args, env = {}) {
  return runTool(tool, args, { cwd: project, env: { CLOUDFLARE_API_TOKEN: "t", CI: "true", ...env } });
}

const wayBack = () => `npx --no-install valetkey rollback ${cloud.versions[0].id}`;

// --- deploy --------------------------------------------------------------------------------------------------------

test("a deployment pauses, waits until nothing is sent, updates the objects at once, waits for the new version, and resumes", async () => {
  const { code, all } = await valetkey(["deploy"]);
  assert.equal(code, 0, all);
  const [, ...events] = gateway.events.slice(gateway.events.indexOf("state"));
  assert.deepEqual(events, ["pause", "state", "deploy immediate", "state", "resume"]);
  assert.equal(gateway.leases.size, 0);
  assert.deepEqual(cloud.changes.map((args) => args.slice(0, 3)), [["deploy", "--durable-objects-code-update-mode", "immediate"]]);
  assert.deepEqual(gateway.versions, { edge: cloud.deployed.id, dispatcher: cloud.deployed.id });
});

test("nothing is deployed while a create is being sent", async () => {
  gateway.submitting = 1;
  let wasSending = false;
  const before = cloud.onDeploy;
  cloud.onDeploy = (version, mode) => {
    wasSending = gateway.submitting > 0;
    return before(version, mode);
  };
  const ended = valetkey(["deploy"]);
  await until(() => gateway.events.includes("pause"));
  await until(() => gateway.events.slice(gateway.events.indexOf("pause")).includes("state"));
  assert.deepEqual(cloud.changes, []);
  gateway.submitting = 0;
  assert.equal((await ended).code, 0);
  assert.equal(wasSending, false);
});

test("a wrangler that fails resumes, prints the way back and ends with 1", async () => {
  cloud.failNext("deploy");
  const { code, stderr } = await valetkey(["deploy"]);
  assert.equal(code, 1);
  assert.ok(stderr.includes(wayBack()), stderr);
  assert.equal(gateway.events.at(-1), "resume");
  assert.equal(gateway.leases.size, 0);
});

test("an interrupt ends the pause, and what wrangler does is not cut off", async () => {
  let arrived;
  const uploading = new Promise((resolve) => (arrived = resolve));
  let finishUpload;
  cloud.onDeploy = () => new Promise((resolve) => {
    finishUpload = resolve;
    arrived();
  });
  const { child, ended } = start(["deploy"]);
  await uploading;
  child.kill("SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(gateway.leases.size, 1, "the pause lasts as long as wrangler");
  finishUpload();
  const { code, stderr } = await ended;
  assert.equal(code, 1);
  assert.match(stderr, /Interrupted\. What was done is not undone/);
  assert.equal(gateway.leases.size, 0);
  // Every state is repeatable.
  cloud.onDeploy = async ({ id }) => gateway.run(id);
  assert.equal((await valetkey(["deploy"])).code, 0);
});

test("without an operator's token a deployment warns, and leaves the update to the platform", async () => {
  writeFileSync(join(project, ".dev.vars"), SECRETS.replace(/^VALETKEY_OPERATOR_SECRET=.*$/m, ""));
  const { code, stderr } = await valetkey(["deploy"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /Warning: creates are not paused, because there is no operator's token: set VALETKEY_OPERATOR_SECRET/);
  assert.deepEqual(gateway.events, ["deploy deferred"]);
});

test("an operator's token from elsewhere is used as it is", async () => {
  writeFileSync(join(project, ".dev.vars"), SECRETS.replace(/^VALETKEY_OPERATOR_SECRET=.*$/m, ""));
  const { code, stderr } = await valetkey(["deploy"], { VALETKEY_OPERATOR_TOKEN: "eyJ.own.token" });
  assert.equal(code, 0, stderr);
  assert.ok(gateway.events.includes("pause"));
});

test("a deployed version without operator's API is not paused, and one that does not answer stops the deployment", async () => {
  gateway.status = 404;
  const warned = await valetkey(["deploy"]);
  assert.equal(warned.code, 0, warned.all);
  assert.match(warned.stderr, /not paused, because the deployed version has no operator's API/);
  for (const status of [401, 403, 503]) {
    gateway.status = status;
    cloud.calls.length = 0;
    const { code, stderr } = await valetkey(["deploy"]);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`/admin/api/state has status ${status}.*--no-pause goes on all the same`));
    assert.deepEqual(cloud.changes, []);
  }
  const forced = await valetkey(["deploy", "--no-pause"]);
  assert.equal(forced.code, 0, forced.all);
  assert.deepEqual(cloud.changes.map((args) => args.includes("immediate")), [false]);
});

test("a deployment that would change the vendor key is refused: a place that a rotation forgot would bring back a revoked key", async () => {
  writeFileSync(join(project, ".dev.vars"), SECRETS.replace(VENDOR_KEY, NEW_KEY));
  const { code, stderr } = await valetkey(["deploy"]);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`The vendor key here \\(fingerprint ${fingerprintOf(NEW_KEY)}\\) is not the deployed one \\(${fingerprintOf(VENDOR_KEY)}\\)`));
  assert.deepEqual(cloud.changes, []);
  // Without a pause as well.
  assert.match((await valetkey(["deploy", "--no-pause"])).stderr, /is not the deployed one/);
  assert.deepEqual(cloud.changes, []);
  const { code: allowed, all } = await valetkey(["deploy", "--with-other-key"]);
  assert.equal(allowed, 0, all);
});

test("a next key that a finished rotation left in the environment is not deployed again beside itself", async () => {
  writeFileSync(join(project, ".dev.vars"), SECRETS.replace(/^DEEPCREATIVE_API_KEY=.*$/m, ""));
  const { code, stderr } = await valetkey(["deploy"], { DEEPCREATIVE_API_KEY_NEXT: VENDOR_KEY });
  assert.equal(code, 1);
  assert.match(stderr, /DEEPCREATIVE_API_KEY_NEXT here is the key that is deployed already/);
  assert.deepEqual(cloud.changes, []);
  assert.equal((await valetkey(["deploy"], { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY })).code, 0);
});

/** Deploys the settings with this jurisdiction. */
async function deployIn(jurisdiction) {
  const settings = jurisdiction === undefined ? SETTINGS : SETTINGS.replace('"POLICY": {', `"JURISDICTION": "${jurisdiction}",\n  "POLICY": {`);
  writeFileSync(join(project, "valetkey.jsonc"), settings);
  return valetkey(["deploy"]);
}

test("a deployment with another jurisdiction is refused: it would start without data", async () => {
  const { code, stderr } = await deployIn("eu");
  assert.equal(code, 1);
  assert.match(stderr, /JURISDICTION would change from none to "eu", and nothing was deployed/);
  assert.deepEqual([cloud.changes, gateway.events], [[], []], "nothing is deployed, and nothing paused");
});

test("a jurisdiction stays over deployments, and is neither changed nor dropped", async () => {
  cloud.versions.length = 0;
  cloud.deployments.length = 0;
  assert.equal((await deployIn("eu")).code, 0, "a new Worker may have any");
  assert.equal((await deployIn("eu")).code, 0);
  cloud.calls.length = 0;
  assert.match((await deployIn("us")).stderr, /from "eu" to "us"/);
  assert.match((await deployIn(undefined)).stderr, /from "eu" to none/);
  assert.deepEqual(cloud.changes, []);
});

test("a rollback to a version with another jurisdiction is refused", async () => {
  assert.equal((await valetkey(["deploy"])).code, 0);
  cloud.versions[0].vars = { ...cloud.versions[0].vars, JURISDICTION: "eu" };
  cloud.calls.length = 0;
  const { code, stderr } = await valetkey(["rollback", "--with-old-secrets"]);
  assert.equal(code, 1);
  assert.match(stderr, /JURISDICTION would change from none to "eu"/);
  assert.deepEqual(cloud.changes, []);
});

// --- rollback --------------------------------------------------------------------------------------------------------

test("a rollback deploys the version before in a pause, and never by `wrangler rollback`", async () => {
  await valetkey(["deploy"]);
  const [first, second] = cloud.versions.map(({ id }) => id);
  gateway.events.length = 0;
  cloud.calls.length = 0;
  const { code, all } = await valetkey(["rollback"]);
  assert.equal(code, 0, all);
  assert.equal(cloud.deployed.id, first);
  assert.deepEqual(cloud.changes, [["versions", "deploy", `${first}@100%`, "-y", "--message", `valetkey rollback from ${second}`, "--durable-objects-code-update-mode", "immediate"]]);
  assert.deepEqual(gateway.events, ["state", "pause", "state", "deploy immediate", "state", "resume"]);
  // And forward again, by name.
  assert.equal((await valetkey(["rollback", second])).code, 0);
  assert.equal(cloud.deployed.id, second);
});

for (const [what, prepare, expected] of [
  ["another vendor key", () => (gateway.keysByVersion[0].fingerprint = "1111111111111111"), /another vendor key \(fingerprint 1111111111111111, now/],
  ["a vendor key that nobody knows", () => gateway.keysByVersion.shift(), /does not know which vendor key it has/],
  ["a rotation under way", () => (gateway.rotation = { state: "draining", fingerprint: "2222222222222222", since: null, jobs_of_old_key: 1 }), /the vendor key is being rotated/],
]) {
  test(`a rollback to ${what} is refused, unless it is told --with-old-secrets`, async () => {
    await valetkey(["deploy"]);
    prepare();
    cloud.calls.length = 0;
    const { code, stderr } = await valetkey(["rollback"]);
    assert.equal(code, 1);
    assert.match(stderr, expected);
    assert.deepEqual(cloud.changes, []);
    const told = await valetkey(["rollback", "--with-old-secrets"]);
    assert.equal(told.code, 0, told.all);
    assert.equal(cloud.deployed.id, cloud.versions[0].id);
  });
}

test("a rollback below a breaking migration is refused, also with --with-old-secrets", async () => {
  await valetkey(["deploy"]);
  cloud.calls.length = 0;
  for (const [objects, flags] of [["breaking", []], ["breaking", ["--with-old-secrets"]], ["breakingLedger", ["--with-old-secrets"]]]) {
    gateway[objects] = 6;
    const { code, stderr } = await valetkey(["rollback", ...flags]);
    assert.equal(code, 1);
    assert.match(stderr, /the storage was changed since in a way that it cannot read/);
    gateway[objects] = 0;
  }
  assert.deepEqual(cloud.changes, []);
  // The version knows these migrations.
  [gateway.breaking, gateway.breakingLedger] = [5, 4];
  assert.equal((await valetkey(["rollback"])).code, 0);
});

test("without an operator's token a rollback needs --with-old-secrets", async () => {
  await valetkey(["deploy"]);
  writeFileSync(join(project, ".dev.vars"), SECRETS.replace(/^VALETKEY_OPERATOR_SECRET=.*$/m, ""));
  const { code, stderr } = await valetkey(["rollback"]);
  assert.equal(code, 1);
  assert.match(stderr, /without an operator's token nobody knows which vendor key it has/);
  assert.equal((await valetkey(["rollback", "--with-old-secrets"])).code, 0);
});

test("there is a way back from a version that refuses its settings: it sends nothing, and cannot say which key it has", async () => {
  assert.equal((await valetkey(["deploy"])).code, 0);
  Object.assign(gateway, { status: 503, code: "misconfigured" });
  for (const args of [["rollback"], ["rollback", "--no-pause"]]) {
    const { code, stderr } = await valetkey(args);
    assert.equal(code, 1);
    assert.match(stderr, /the gateway does not say which vendor key it has\. http:\S+ has status 503: misconfigured\. --with-old-secrets deploys it all the same/);
  }
  cloud.calls.length = 0;
  const { code, all } = await valetkey(["rollback", "--with-old-secrets"]);
  assert.equal(code, 0, all);
  assert.match(all, /The deployed version refuses its settings, so it sends nothing, and is not paused\./);
  assert.equal(cloud.deployed.id, cloud.versions[0].id);
  assert.deepEqual(cloud.changes.map((args) => args.includes("immediate")), [true]);
});

test("a version that refuses its settings is replaced by the next deployment", async () => {
  Object.assign(gateway, { status: 503, code: "misconfigured" });
  const { code, all } = await valetkey(["deploy"]);
  assert.equal(code, 0, all);
  assert.deepEqual(gateway.events, ["deploy immediate"]);
});

test("the deployed version is no way back", async () => {
  const only = await valetkey(["rollback"]);
  assert.equal(only.code, 1);
  assert.match(only.stderr, /None of the last ten deployments had another version/);
  const same = await valetkey(["rollback", cloud.deployed.id]);
  assert.equal(same.code, 1);
  assert.match(same.stderr, /is what is deployed/);
});

// --- rotate --------------------------------------------------------------------------------------------------------

/** Lets the gateway find the new key good, and drain. */
function drains(jobs) {
  const before = cloud.onDeploy;
  cloud.onDeploy = async (version, mode) => {
    await before(version, mode);
    const next = version.secrets.DEEPCREATIVE_API_KEY_NEXT;
    const state = next === undefined ? "none" : jobs > 0 ? "draining" : "safe_to_revoke";
    gateway.rotation = { state, fingerprint: next === undefined ? null : fingerprintOf(next), since: null, jobs_of_old_key: jobs };
  };
}

test("a rotation begins, drains and finishes, each step one version and one deployment in a pause", async () => {
  drains(2);
  const begun = await valetkey(["rotate", "begin"], { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY });
  assert.equal(begun.code, 0, begun.all);
  assert.match(begun.stdout, /2 of the old key have not ended\. Do not revoke the old key yet/);
  assert.deepEqual(gateway.events.filter((event) => event !== "state"), ["pause", "deploy immediate", "resume"]);
  assert.deepEqual(cloud.changes.map((args) => args.slice(0, 3)), [["versions", "secret", "bulk"], ["versions", "deploy", `${cloud.versions[1].id}@100%`]]);
  assert.deepEqual(JSON.parse(cloud.inputs.at(-1)), { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY });
  assert.ok(readFileSync(join(project, ".dev.vars"), "utf8").includes(`DEEPCREATIVE_API_KEY_NEXT='${NEW_KEY}'`), "the next deployment has it too");

  const early = await valetkey(["rotate", "finish"]);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /Do not revoke the old key yet\. Nothing was changed\. --force finishes it all the same/);

  gateway.rotation = { ...gateway.rotation, state: "safe_to_revoke", jobs_of_old_key: 0 };
  const finished = await valetkey(["rotate", "finish"]);
  assert.equal(finished.code, 0, finished.all);
  assert.match(finished.stdout, /Revoke the old key at the vendor/);
  assert.deepEqual(JSON.parse(cloud.inputs.at(-1)), { DEEPCREATIVE_API_KEY: NEW_KEY, DEEPCREATIVE_API_KEY_NEXT: null });
  assert.equal(cloud.deployed.secrets.DEEPCREATIVE_API_KEY, NEW_KEY);
  assert.ok(!("DEEPCREATIVE_API_KEY_NEXT" in cloud.deployed.secrets));
  const kept = readFileSync(join(project, ".dev.vars"), "utf8");
  assert.equal(kept, SECRETS.replace(VENDOR_KEY, NEW_KEY));
  assert.equal(statSync(join(project, ".dev.vars")).mode & 0o777, 0o600);
  for (const { all } of [begun, early, finished]) assert.ok(!all.includes(NEW_KEY) && !all.includes(VENDOR_KEY), "no key is printed");
  for (const args of cloud.calls) assert.ok(!args.join(" ").includes("sk_live_"), "no key is an argument");
});

test("a rotation whose key the vendor refuses ends with 1", async () => {
  const before = cloud.onDeploy;
  cloud.onDeploy = async (version, mode) => {
    await before(version, mode);
    gateway.rotation = { state: "refused", fingerprint: fingerprintOf(NEW_KEY), since: null, jobs_of_old_key: 0 };
  };
  const { code, stderr } = await valetkey(["rotate", "begin"], { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY });
  assert.equal(code, 1);
  assert.match(stderr, /the vendor refuses the new key .* everything stays with the old one/);
});

test("a change of .dev.vars replaces the file as a whole, also behind a link: an end in the middle loses no secret", async () => {
  drains(0);
  const [path, kept, linked] = [".dev.vars", ".dev.vars.kept", ".dev.vars.real"].map((name) => join(project, name));
  renameSync(path, linked);
  symlinkSync(linked, path);
  linkSync(linked, kept);
  const { code, all } = await valetkey(["rotate", "begin"], { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY });
  assert.equal(code, 0, all);
  assert.equal(readFileSync(kept, "utf8"), SECRETS, "the file before was not written to");
  assert.ok(lstatSync(path).isSymbolicLink() && readFileSync(linked, "utf8").includes(NEW_KEY));
  assert.deepEqual(readdirSync(project).filter((name) => name.endsWith(".tmp")), []);
  for (const file of [path, kept, linked]) rmSync(file);
});

test("an interrupted rotation continues with the version that it made", async () => {
  drains(0);
  cloud.failNext("immediate");
  const env = { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY };
  const interrupted = await valetkey(["rotate", "begin"], env);
  assert.equal(interrupted.code, 1);
  assert.ok(interrupted.stderr.includes(`${wayBack()} --with-old-secrets`), interrupted.stderr);
  assert.equal(gateway.leases.size, 0);
  assert.equal(cloud.versions.length, 2);
  const again = await valetkey(["rotate", "begin"], env);
  assert.equal(again.code, 0, again.all);
  assert.equal(cloud.versions.length, 2, "no second version");
  assert.equal(cloud.deployed.id, cloud.versions[1].id);
  // And a third time changes nothing.
  cloud.calls.length = 0;
  assert.equal((await valetkey(["rotate", "begin"], env)).code, 0);
  assert.deepEqual(cloud.changes, []);
});

test("a rotation does not undo a deployment that came between", async () => {
  cloud.failNext("immediate");
  const env = { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY };
  assert.equal((await valetkey(["rotate", "begin"], env)).code, 1, "a version is made, and not deployed");
  gateway.events.length = 0;
  gateway.submitting = 1;
  const ended = valetkey(["rotate", "begin"], env);
  await until(() => gateway.events.includes("pause"));
  cloud.versions.push({ ...cloud.versions[0], id: "somebody-elses" });
  cloud.deployments.push("somebody-elses");
  cloud.calls.length = 0;
  gateway.submitting = 0;
  const { code, stderr } = await ended;
  assert.equal(code, 1);
  assert.match(stderr, /Somebody deployed somebody-elses at the same time, so the secrets were not deployed\. Repeat this\./);
  assert.ok(!stderr.includes("The way back"), "it would undo that deployment");
  assert.deepEqual([cloud.changes, gateway.leases.size], [[], 0]);
});

test("a finished rotation may be finished again, for the places that do not have the key yet", async () => {
  drains(0);
  const env = { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY };
  assert.equal((await valetkey(["rotate", "begin"], env)).code, 0);
  assert.equal((await valetkey(["rotate", "finish"], env)).code, 0);
  writeFileSync(join(project, ".dev.vars"), SECRETS);
  cloud.calls.length = 0;
  const { code, stdout } = await valetkey(["rotate", "finish"], env);
  assert.equal(code, 0);
  assert.match(stdout, /Wherever DEEPCREATIVE_API_KEY is set, such as in the secrets of your CI, replace it/);
  assert.deepEqual(cloud.changes, []);
});

test("secrets are not changed in a version that is not the deployed one", async () => {
  cloud.versions.push({ ...cloud.versions[0], id: "somebody-elses", message: "by hand" });
  const { code, stderr } = await valetkey(["rotate", "begin"], { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY });
  assert.equal(code, 1);
  assert.match(stderr, /The latest version, somebody-elses, is not the deployed one/);
  assert.deepEqual(cloud.changes, []);
  assert.ok(!gateway.events.includes("pause"));
});

for (const [what, key, expected] of [
  ["the key that is in use", VENDOR_KEY, /This is the key that is in use/],
  ["a key of another form", "sk_test_0123456789abcdef", /The new key /],
  ["a placeholder", "sk_live_your_key_goes_right_here", /The new key /],
]) {
  test(`a rotation to ${what} is refused before anything is changed`, async () => {
    const { code, stderr } = await valetkey(["rotate", "begin"], { DEEPCREATIVE_API_KEY_NEXT: key });
    assert.equal(code, 1);
    assert.match(stderr, expected);
    assert.ok(!stderr.includes(key));
    assert.deepEqual(cloud.changes, []);
    assert.equal(readFileSync(join(project, ".dev.vars"), "utf8"), SECRETS);
  });
}

test("a second rotation waits for the first, unless the vendor refused its key", async () => {
  gateway.rotation = { state: "draining", fingerprint: "2222222222222222", since: null, jobs_of_old_key: 1 };
  const env = { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY };
  const { code, stderr } = await valetkey(["rotate", "begin"], env);
  assert.equal(code, 1);
  assert.match(stderr, /A rotation to another key is under way \(fingerprint 2222222222222222\)/);
  drains(0);
  gateway.rotation.state = "refused";
  assert.equal((await valetkey(["rotate", "begin"], env)).code, 0);
});

// --- status --------------------------------------------------------------------------------------------------------

test("status shows the state in a few lines, or all of it as JSON", async () => {
  const { code, stdout } = await valetkey(["status"]);
  assert.equal(code, 0);
  assert.equal(stdout, `Version: ${cloud.deployed.id}.
Vendor key ${fingerprintOf(VENDOR_KEY)}: ok. The vendor key is not being rotated.
Being sent: 0. Slots: 2 of 5 in use, 1 of them of an unknown outcome. Waiting: 3 of 500.
Requests left this minute: 41 of 60.
Today (2026-11-30): 12.5 credits, 30 predictions.
Unknown outcome: pred_1 (acme/x), its slot until 2026-11-30T10:10:00Z.
Alert: key_leak at 2026-11-30T09:00:00Z.
`);
  const json = JSON.parse((await valetkey(["status", "--json"])).stdout);
  assert.deepEqual(json.slots, { total: 5, in_use: 2, unknown: 1 });
  const rotation = await valetkey(["rotate", "status"]);
  assert.equal(rotation.stdout, "The vendor key is not being rotated.\n");
});

test("the commands for operators say what they need", async () => {
  writeFileSync(join(project, ".dev.vars"), SECRETS.replace(/^VALETKEY_OPERATOR_SECRET=.*$/m, ""));
  for (const args of [["status"], ["rotate", "status"]]) {
    const { code, stderr } = await valetkey(args);
    assert.equal(code, 1);
    assert.match(stderr, /This needs an operator's token: set VALETKEY_OPERATOR_SECRET/);
  }
  assert.match((await valetkey(["rotate"])).stderr, /Name a step/);
  assert.match((await valetkey(["rotate", "begin"], { VALETKEY_OPERATOR_TOKEN: "eyJ" })).stderr, /The new key is not here: set DEEPCREATIVE_API_KEY_NEXT/);
});

// --- helpers --------------------------------------------------------------------------------------------------------

/** Starts the tool, for tests that interrupt it. */
function start(args) {
  let child;
  const ended = new Promise((resolve) => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, CLOUDFLARE_API_TOKEN: "t", CI: "true" };
    child = execFile(process.execPath, [join(tool, "bin/valetkey.mjs"), ...args], { cwd: project, env }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
  return { child, ended };
}

async function until(isTrue) {
  const end = Date.now() + 30_000;
  while (!isTrue()) {
    assert.ok(Date.now() < end, "not in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
