// Tells a change of the user from a client that an app makes anew in each render.
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "react";
import type { Client } from "./client.ts";

/** So many changes of the client within this time are not made by a person who signs in as somebody else. */
const CHANGES = 3;
const CHANGES_MS = 10_000;

/** Before the screen is painted, so that nothing flickers. A server has no layout, and React 18 warns of it. */
const useEarlyEffect = typeof document === "undefined" ? useEffect : useLayoutEffect;

interface Seen {
  /** A client that is new, and was rendered once. */
  candidate: { client: Client | undefined } | undefined;
  /** Times of the last changes, ms. */
  changedAt: number[];
}

/**
 * Returns the `owner` of what the hook shows: the client, and with another client another owner, to whom nothing of the
 * last one may be shown. `isOwner` is false until that is settled.
 *
 * A component that makes a client in each render would lose its prediction in each render, too. So a new client is
 * rendered a second time: one that is new again then, or too many in a short time, is no other user. The owner stays as
 * it was, and the developer is warned.
 */
export function useOwner(client: Client | undefined): { owner: Client | undefined; isOwner: boolean } {
  const [owner, setOwner] = useState(client);
  const [isAnew, setAnew] = useState(false);
  const [, renderAgain] = useReducer((count: number) => count + 1, 0);
  const seen = useRef<Seen>({ candidate: undefined, changedAt: [] });

  useEarlyEffect(() => {
    const { candidate, changedAt } = seen.current;
    seen.current.candidate = undefined;
    if (isAnew || client === owner) return;
    if (candidate === undefined) {
      seen.current.candidate = { client };
      renderAgain();
      return;
    }
    const now = performance.now();
    seen.current.changedAt = [...changedAt.filter((at) => at > now - CHANGES_MS), now];
    if (candidate.client === client && seen.current.changedAt.length < CHANGES) return setOwner(client);
    setAnew(true);
    warn();
  });
  return { owner, isOwner: isAnew || client === owner };
}

declare const process: { env: { NODE_ENV?: string } };

function warn(): void {
  if (isDevelopment()) console.warn("valetkey: each render makes a new client, which has to get its own token. Make one outside of the component, or in useMemo.");
}

function isDevelopment(): boolean {
  try {
    // Bundlers replace the whole expression, also where there is no `process`.
    return process.env.NODE_ENV !== "production";
  } catch {
    return false;
  }
}
