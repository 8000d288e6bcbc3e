// Pictures of the page for people to look at, in dist/screenshots/.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { onDemo } from "../page.mjs";

const DIRECTORY = resolve(import.meta.dirname, "../../../dist/screenshots");
const SCREENS = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } };

function shoot(screen, colorScheme) {
  return onDemo(async (demo, { stack }) => {
    mkdirSync(DIRECTORY, { recursive: true });
    const save = (state) => demo.page.screenshot({ path: join(DIRECTORY, `demo-${screen}-${colorScheme}-${state}.png`) });
    await save("empty");
    await demo.submit("A serene Japanese garden");
    await demo.waitUntilMaking();
    await save("making");
    await demo.pictureWidth();
    await save("picture");
    await stack.simulator.failOnce("create", { status: 409 });
    await demo.create.click();
    await demo.problemText();
    await save("error");
  }, { viewport: SCREENS[screen], colorScheme });
}

export default Object.keys(SCREENS).flatMap((screen) =>
  ["light", "dark"].map((colorScheme) => [`screenshots: ${screen}, ${colorScheme}`, shoot(screen, colorScheme)]),
);
