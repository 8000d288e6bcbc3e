// Screenshots of the page in every state, for people to review, in dist/screenshots/.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { beginLong } from "../page.mjs";
import { oneAtATime } from "./journey.mjs";

const DIRECTORY = resolve(import.meta.dirname, "../../../dist/screenshots");
const SCREENS = {
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  desktop: { viewport: { width: 1280, height: 900 } },
};
const LONG = "A lighthouse in the fog, oil on canvas, with the keeper’s boat pulled up on the shingle, gulls over the breakers and one lit window. ".repeat(3);

function shoot(screen, colorScheme) {
  return oneAtATime(async (demo, { stack }) => {
    mkdirSync(DIRECTORY, { recursive: true });
    const save = async ({ page }, state) => {
      await page.mouse.move(0, 0);
      // Lazy images below the window load only when the page is scrolled.
      await page.evaluate(() => Promise.all([...document.images].filter(({ hidden, src }) => src && !hidden).map((image) => {
        image.loading = "eager";
        return image.decode();
      })));
      await page.screenshot({ path: join(DIRECTORY, `demo-${screen}-${colorScheme}-${state}.png`), fullPage: true });
    };
    await save(demo, "1-empty");
    await demo.page.getByLabel("Wide").check();
    await demo.submit("A serene Japanese garden");
    await demo.pictureWidth();
    await save(demo, "2-picture");
    const buffer = Buffer.from(await (await fetch(await demo.picture.getAttribute("src"))).arrayBuffer());
    await demo.submit("A garden [fail]");
    await demo.problemText();
    await demo.file.setInputFiles({ name: "A photograph of the garden behind our house in early spring.png", mimeType: "image/png", buffer });
    const upload = new Promise((done) => demo.page.route((url) => url.pathname === "/v1/files", done));
    await demo.submit(LONG);
    await demo.waitUntilSaid("Uploading your picture…");
    await save(demo, "3-uploading");
    await (await upload).continue();
    await demo.pictureWidth();
    await save(demo, "4-long");
    await beginLong(demo, { stack });
    await save(demo, "5-making");
    const other = await demo.anotherTab();
    await other.submit("The same garden, seen from above");
    await other.waitUntilSaid("Waiting: ");
    await save(other, "6-queued");
    await other.cancelAndWait();
    await demo.cancelAndWait();
    await stack.simulator.failOnce("create", { status: 409 });
    await demo.page.getByRole("button", { name: "Remove the picture to start from" }).click();
    await demo.create.click();
    await demo.problemText();
    await save(demo, "7-error");
  }, { ...SCREENS[screen], colorScheme });
}

export default Object.keys(SCREENS).flatMap((screen) =>
  ["light", "dark"].map((colorScheme) => [`screenshots: ${screen}, ${colorScheme}`, shoot(screen, colorScheme)]),
);
