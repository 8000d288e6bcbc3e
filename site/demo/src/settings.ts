// The settings of a deployment: /demo/settings.json, which the Worker writes.

const SETTINGS_PATH = "/demo/settings.json";
/** Longest pause between two attempts, ms. */
const LONGEST_PAUSE_MS = 8_000;

export interface Settings {
  /** URL of the app's own backend, which gives tokens. */
  session_url: string | null;
  /** Site key of the Turnstile widget that makes the visitor a guest. */
  turnstile_site_key: string | null;
  /** True if a stand-in on the operator's machine plays the vendor. A deployed Worker refuses such a vendor. */
  is_stand_in: boolean;
}

/** Reads the settings. Repeats until it has them, because the page can do nothing without them. */
export async function loadSettings(onFailure: () => void): Promise<Settings> {
  for (let pauseMs = 1_000; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    try {
      const answer = await fetch(SETTINGS_PATH);
      if (answer.ok) return await answer.json();
    } catch {
      // No connection.
    }
    onFailure();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
