// Notifies the other tabs of this browser that the pictures have changed. The message carries no data.

const CHANNEL = "valetkey-demo";

export class Tabs {
  readonly #channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(CHANNEL);

  /** Notifies the other tabs. */
  tell(): void {
    this.#channel?.postMessage("changed");
  }

  /**
   * Calls `handler` when another tab notifies this one, when this tab becomes visible, and when the browser is back
   * online.
   */
  onChange(handler: () => void): void {
    this.#channel?.addEventListener("message", handler);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) handler();
    });
    addEventListener("online", handler);
  }
}
