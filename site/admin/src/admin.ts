// Entry point of the operator's page: signs in, keeps the board up to date, and asks before each action.
import { element } from "../../demo/src/dom.ts";
import { type Action, pauseAction, releaseAction, resumeAction, revokeAllAction } from "./actions.ts";
import { Api, type ApiProblem, asProblem, needsSignIn } from "./api.ts";
import { AuditView } from "./audit-view.ts";
import { LineChart } from "./chart-view.ts";
import { CHART_DAYS } from "./days.ts";
import { DialogView } from "./dialog-view.ts";
import { setText } from "./elements.ts";
import { History } from "./history.ts";
import { LiveView } from "./live-view.ts";
import { Poller, type Surroundings } from "./poller.ts";
import { ProblemsView } from "./problems-view.ts";
import { readRefusals, readUsers, SpendReader } from "./reads.ts";
import type { State } from "./shapes.ts";
import { SignInView } from "./sign-in-view.ts";
import { SpendView } from "./spend-view.ts";
import { StateView } from "./state-view.ts";
import { lastDays, problemText } from "./text.ts";
import { cancelAction, deleteAction, exportAction, limitsAction, type Person, planLimitsAction, revokeAction } from "./user-actions.ts";
import { type Choice, UserView } from "./user-view.ts";

/** An operator has 240 requests a minute: this takes 15 of them in each tab, */
const STATE_MS = 4_000;
/** and this 4, and one more for each further thousand users. */
const READS_MS = 60_000;
/** Which part of the page a problem is about. */
const PARTS: Readonly<Record<string, string>> = { reads: "Spend, refusals and the audit log are not up to date. " };
/** How long the sentence after an action stays. */
const ANNOUNCEMENT_MS = 8_000;

const surroundings: Surroundings = {
  setTimer: (run, ms) => window.setTimeout(run, ms),
  clearTimer: (timer) => window.clearTimeout(timer),
  isVisible: () => document.visibilityState === "visible",
};

const api = new Api((path, init) => fetch(path, init));
const board = element("board", HTMLElement);
const problems = new ProblemsView();
const signOut = element("sign-out", HTMLButtonElement);
const operator = element("operator", HTMLElement);
const announcement = element("announcement", HTMLElement);
const live = new LiveView();
const dialog = new DialogView();
const runningChart = new LineChart(element("chart-live", HTMLElement), "Running");
const waitingChart = new LineChart(element("chart-live", HTMLElement), "Waiting");
const running = new History();
const waiting = new History();
/** The UTC day, from the service's clock. */
let today: string | undefined;
/** How far the service's clock is ahead of this machine's, milliseconds. */
let aheadMs = 0;
/** The timer that takes the announcement away. */
let announced: number | undefined;

const ask = (action: Action): void => dialog.ask(action);
const user = new UserView({ lookUp, choices: userChoices, ask });
const openUser = (key: string): void => user.open(key);
const state = new StateView({
  resume: (pause) => ask(resumeAction(api, pause)),
  release: (unknown) => ask(releaseAction(api, unknown)),
  openUser,
});
const spend = new SpendView(openUser);
const spendReader = new SpendReader(api);
const audit = new AuditView(api, openUser, (read) => void readMore(read));

const statePoller = new Poller(readState, STATE_MS, surroundings);
const readsPoller = new Poller(readAll, READS_MS, surroundings);
statePoller.onFailure = (failure, next) => {
  live.late(next);
  failed("state", failure);
};
readsPoller.onFailure = (failure) => failed("reads", failure);

const signIn = new SignInView((token) => {
  api.use(token);
  start();
});

dialog.onDone = (sentence) => {
  announce(sentence);
  statePoller.start();
  readsPoller.start();
};
dialog.onProblem = (failure) => {
  if (!needsSignIn(failure)) return;
  dialog.close();
  failed("action", failure);
};
element("pause", HTMLButtonElement).addEventListener("click", () => ask(pauseAction(api)));
element("revoke-all", HTMLButtonElement).addEventListener("click", () => ask(revokeAllAction(api, () => Math.floor(serviceNow() / 1_000))));
signOut.addEventListener("click", () => leave("The token is forgotten."));
document.addEventListener("visibilitychange", () => {
  statePoller.visibilityChanged();
  readsPoller.visibilityChanged();
});

/** Returns the time of the service's clock, milliseconds. */
function serviceNow(): number {
  return Date.now() + aheadMs;
}

// Behind Cloudflare Access the first request is already allowed.
start();

function start(): void {
  readsPoller.stop();
  statePoller.start();
}

async function readState(): Promise<void> {
  const now = await api.get<State>("state");
  const isFirst = board.hidden;
  today = now.today.day;
  signIn.hide();
  problems.set("state", "");
  board.hidden = false;
  signOut.hidden = !api.hasToken;
  operator.hidden = false;
  setText(operator, now.operator.name);
  const mayWrite = now.operator.rights.includes("write");
  element("main", HTMLElement).classList.toggle("read-only", !mayWrite);
  element("read-only", HTMLElement).hidden = mayWrite;
  live.fresh(now.time);
  state.show(now);
  const at = Date.parse(now.time);
  aheadMs = at - Date.now();
  runningChart.show(running.add({ at, value: now.slots.in_use }));
  waitingChart.show(waiting.add({ at, value: now.queue.waiting }));
  if (isFirst) readsPoller.start();
}

async function readAll(): Promise<void> {
  if (today === undefined) return;
  const day = today;
  const from = lastDays(day, CHART_DAYS)[0] ?? day;
  const [days, refusals, users] = await Promise.all([spendReader.read(day, CHART_DAYS), readRefusals(api, from, day), readUsers(api, day), audit.refresh()]);
  spend.showSpend(days, day);
  spend.showRefusals(refusals, day);
  spend.showUsers(users.rows, users.isWhole);
  board.classList.add("is-read");
  problems.set("reads", "");
}

/** Shows a failure. What is on the screen stays, unless the operator has to sign in. */
function failed(part: string, failure: ApiProblem): void {
  if (needsSignIn(failure)) {
    const isFirst = failure.code === "missing_token";
    leave(isFirst ? "" : problemText(failure));
    return;
  }
  if (failure.status === 403) leave(problemText(failure));
  else problems.set(part, `${PARTS[part] ?? ""}${problemText(failure)}`);
}

/** Ends the session: nothing of it stays on the page. */
function leave(reason: string): void {
  statePoller.stop();
  readsPoller.stop();
  api.use(undefined);
  dialog.close();
  audit.clear();
  spendReader.clear();
  user.clear();
  running.clear();
  waiting.clear();
  board.hidden = true;
  board.classList.remove("is-read");
  problems.clear();
  signOut.hidden = true;
  operator.hidden = true;
  operator.textContent = "";
  live.hide();
  signIn.ask(reason);
}

async function readMore(read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (thrown) {
    failed("reads", asProblem(thrown));
  }
}

function announce(sentence: string): void {
  window.clearTimeout(announced);
  announcement.textContent = sentence;
  announced = window.setTimeout(() => (announcement.textContent = ""), ANNOUNCEMENT_MS);
}

async function lookUp(name: { issuer: string; subject: string }): Promise<string | undefined> {
  const { user: key, known } = (await api.write("POST", "users/lookup", name)) as { user: string; known: boolean };
  return known ? key : undefined;
}

function userChoices(person: Person): Choice[] {
  const revoke = revokeAction(api, person);
  return [
    { name: "Export", action: exportAction(api, person), isWrite: false },
    { name: "Set limits", action: limitsAction(api, person, serviceNow), isWrite: true },
    { name: "Plan’s limits", action: planLimitsAction(api, person), isWrite: true },
    { name: "Cancel predictions", action: cancelAction(api, person), isWrite: true },
    ...(revoke === undefined ? [] : [{ name: "Revoke tokens", action: revoke, isWrite: true }]),
    { name: "Delete", action: deleteAction(api, person), isWrite: true },
  ];
}
