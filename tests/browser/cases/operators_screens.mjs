// Every state of the operator's page on a phone and on a desktop, in light and in dark: axe finds nothing, nothing is wider than
// the screen, and a screenshot of each is in dist/screenshots/ for people to review.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { BROKEN, BUSY, DRAINING, onPage, PAUSED } from "../operators.mjs";

const DIRECTORY = resolve(import.meta.dirname, "../../../dist/screenshots");
const SCREENS = {
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  small: { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true },
  desktop: { viewport: { width: 1280, height: 900 } },
};

function everyState(screen, colorScheme) {
  const options = { ...SCREENS[screen], colorScheme, bypassCSP: true, reducedMotion: "reduce" };
  return onPage(async (page, api) => {
    mkdirSync(DIRECTORY, { recursive: true });
    const check = async (state, isWhole = true) => {
      await page.page.mouse.move(0, 0);
      await page.page.screenshot({ path: join(DIRECTORY, `admin-${screen}-${colorScheme}-${state}.png`), fullPage: isWhole });
      await page.assertAccessible(state);
    };
    const show = async (state, text) => {
      api.state = state;
      await page.next();
      await page.page.getByText(text, { exact: true }).first().waitFor();
    };
    api.faults.set("*", { status: 401, code: "missing_token" });
    await page.page.reload();
    await page.token.waitFor();
    await check("1-sign-in");
    api.faults.set("*", { status: 401, code: "invalid_token" });
    await page.signIn();
    await page.page.getByText("The service refused this token").waitFor();
    await check("2-wrong-token");

    api.faults.clear();
    const busy = { ...api };
    api.quiet();
    await page.signIn();
    await page.ready();
    await check("3-empty");
    Object.assign(api, { spend: busy.spend, refusals: busy.refusals, users: busy.users, audit: busy.audit });
    await show(BUSY, "1,482.75");
    await page.button("Forget the token").click();
    await page.signIn();
    await page.ready();
    await page.button("Show more").click();
    await page.page.getByText("As a table").first().click();
    await page.page.getByLabel("Issuer").fill("https://login.example");
    await page.page.getByLabel("Subject").fill("alice");
    await page.button("Look up").click();
    await page.button("Revoke tokens").waitFor();
    await check("4-busy");
    await show(PAUSED, "Creates are paused");
    await check("5-paused");
    await show(DRAINING, "Draining");
    await check("6-draining");
    await show(BROKEN, "next key f00dcafe1234…");
    await page.page.getByText("Refused", { exact: true }).first().waitFor();
    await check("7-broken");
    api.faults.set("*", { status: 503, headers: { "retry-after": "30" } });
    await page.next();
    await page.page.getByText("The Dispatcher or a Ledger did not answer.").waitFor();
    await check("8-error");
    api.faults.clear();
    await page.button("Pause creates").click();
    await page.dialog.waitFor();
    await check("9-pause", false);
    await page.dialog.getByRole("textbox", { name: "Minutes" }).fill("90");
    await page.dialog.getByRole("button", { name: "Pause" }).click();
    await check("9-pause-wrong", false);
    await page.button("Cancel").click();
    await page.button("Set limits").click();
    await check("10-limits", false);
    await page.button("Cancel").click();
    await page.button("Revoke every token").click();
    await check("11-revoke-all", false);
  }, options);
}

export default Object.keys(SCREENS).flatMap((screen) =>
  ["light", "dark"].map((colorScheme) => [`operator’s page: every state on a ${screen} screen, ${colorScheme}`, everyState(screen, colorScheme)]),
);
