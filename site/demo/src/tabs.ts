// The tabs of one person tell each other that their pictures changed. Nothing but the fact goes along.

const CHANNEL = "valetkey-demo";

export class Tabs {
  readonly #channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(CHANNEL);

  tell(): void {
    this.#channel?.postMessage("changed");
  }

  /** Calls when another tab told, and when the person comes back to this one. */
  onChange(handler: () => void): void {
    this.#channel?.addEventListener("message", handler);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) handler();
    });
    addEventListener("online", handler);
  }
}
