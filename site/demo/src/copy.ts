// Buttons that copy a text.
import { element } from "./dom.ts";

const COPIED_MS = 2_000;

/** Copies the text of `source` when the button is pressed, and says so on the button and to screen readers. */
export function copies(button: HTMLButtonElement, source: HTMLElement): void {
  const label = button.textContent ?? "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  button.addEventListener("click", async () => {
    const isCopied = await copy(source);
    button.textContent = isCopied ? "Copied" : "Press Ctrl C to copy";
    announce(button.textContent);
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = label), COPIED_MS);
  });
}

/** Announces a text to screen readers. */
export function announce(text: string): void {
  element("announcement", HTMLElement).textContent = text;
}

async function copy(source: HTMLElement): Promise<boolean> {
  try {
    // Absent on a page without TLS, such as a development server that a phone opens by its IP address.
    await navigator.clipboard.writeText(source.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(source);
    return false;
  }
}
