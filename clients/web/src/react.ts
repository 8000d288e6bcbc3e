"use client";
// `valetkey/react`: a hook that runs one prediction at a time in a component, and the provider of its client. The
// directive lets server components import them.
import { createContext, createElement, type ReactElement, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from "react";
import { check } from "./arguments.ts";
import type { Client, CreateOptions, WaitOptions } from "./client.ts";
import { failureOf, type ValetkeyError } from "./errors.ts";
import { hasEnded } from "./events.ts";
import type { InputOf, ModelName } from "./models.ts";
import type { Prediction } from "./schema.ts";
import { useOwner } from "./owner.ts";

export interface PredictionState {
  /** True from the call of `run`, or the start of following `jobId`, until the prediction has ended. */
  isRunning: boolean;
  /** Current state of the prediction, with its queue position or output. */
  prediction: Prediction | undefined;
  /** Why the create or the prediction failed. Absent after a cancel that the app requested. */
  error: ValetkeyError | undefined;
}

export interface FollowOptions {
  /**
   * Prediction to follow from the first render on, such as one that was started before the page was loaded again. An
   * app may pass the id of the prediction that the hook itself runs.
   */
  jobId?: string | undefined;
}

export interface UsePrediction extends PredictionState {
  /**
   * Starts a prediction. Resolves with the prediction if it succeeds, otherwise with `undefined`; see `error` for the
   * reason. Never rejects. Does nothing while a prediction is running.
   */
  run<M extends ModelName>(model: M, input: InputOf<M>, options?: Omit<CreateOptions, "signal">): Promise<Prediction | undefined>;
  /**
   * Cancels the running prediction. Before the create has returned an id, the cancel is sent as soon as the id is
   * known.
   */
  cancel(): void;
}

interface Running {
  /** Client that calls the API for this prediction. */
  client: Client;
  /** Whose prediction it is: another client may belong to another user (`useOwner`). */
  owner: Client | undefined;
  /** Stops waiting for the prediction. */
  controller: AbortController;
  /** Set once the create has returned. */
  jobId: string | undefined;
  /** Set when the app has called `cancel`. */
  cancelWanted: boolean;
}

/** Waits for a prediction. */
type Work = (client: Client, options: Required<Pick<WaitOptions, "signal" | "onUpdate">>) => Promise<Prediction>;

const IDLE: PredictionState = { isRunning: false, prediction: undefined, error: undefined };

const ClientContext = createContext<Client | undefined>(undefined);

/** Gives `client` to the hooks in `children`. */
export function ValetkeyProvider({ client, children }: { client: Client; children?: ReactNode }): ReactElement {
  return createElement(ClientContext.Provider, { value: client }, children);
}

/** Returns the client of the `<ValetkeyProvider>` around the component. */
export function useValetkey(): Client {
  return checked(useContext(ClientContext));
}

/**
 * Follows a prediction in a component's state. The client is the argument, or that of a `<ValetkeyProvider>`.
 * Unmounting the component only stops following: the prediction continues and is billed.
 */
export function usePrediction(client: Client, options?: FollowOptions): UsePrediction;
export function usePrediction(options?: FollowOptions): UsePrediction;
export function usePrediction(first?: Client | FollowOptions, more?: FollowOptions): UsePrediction {
  const provided = useContext(ClientContext);
  const isClient = "run" in Object(first);
  const client = isClient ? (first as Client) : provided;
  const { jobId } = (isClient ? more : (first as FollowOptions)) ?? {};
  const { owner, isOwner } = useOwner(client);
  const [state, setState] = useState({ ...IDLE, owner });
  const running = useRef<Running>(undefined);

  const leave = useCallback(() => {
    const now = running.current;
    running.current = undefined;
    // A cancel that is waiting for the job id keeps the create going: aborting the request would not stop the vendor.
    if (now?.jobId !== undefined || now?.cancelWanted === false) now.controller.abort();
  }, []);

  useEffect(() => {
    if (running.current !== undefined && running.current.owner !== owner) leave();
  }, [owner, leave]);

  // Effects also run their cleanup when React hides a component, and once extra in strict mode. The component may then
  // mount again with the same state, so `isRunning` is reset here.
  useEffect(() => () => {
    leave();
    setState((last) => ({ ...last, isRunning: false }));
  }, [leave]);

  const sendCancel = useCallback(async (now: Running, jobId: string) => {
    try {
      await now.client.cancel(jobId);
    } catch (error) {
      now.cancelWanted = false;
      if (running.current === now) setState((last) => ({ ...last, error: error as ValetkeyError }));
    }
  }, []);

  const cancel = useCallback(() => {
    const now = running.current;
    if (now === undefined) return;
    now.cancelWanted = true;
    if (now.jobId !== undefined) void sendCancel(now, now.jobId);
  }, [sendCancel]);

  const follow = useCallback(async (work: Work, jobId?: string) => {
    leave();
    const now: Running = { client: client as Client, owner, controller: new AbortController(), jobId, cancelWanted: false };
    const { signal } = now.controller;
    running.current = now;
    setState({ ...IDLE, owner, isRunning: true });
    const onUpdate = (prediction: Prediction): void => {
      const isFirst = now.jobId === undefined;
      now.jobId = prediction.job_id;
      if (isFirst && now.cancelWanted) void sendCancel(now, prediction.job_id);
      if (running.current === now) setState((last) => ({ ...last, prediction }));
      else now.controller.abort();
    };
    try {
      const prediction = await work(checked(client), { signal, onUpdate });
      if (running.current === now) setState({ ...IDLE, owner, prediction });
      return prediction;
    } catch (thrown) {
      if (running.current !== now) return undefined;
      const error = thrown as ValetkeyError;
      // Nobody knows who canceled a prediction that was started before.
      const wasWanted = error.code === "canceled" && (now.cancelWanted || jobId !== undefined);
      setState((last) => ({ ...last, isRunning: false, prediction: error.prediction ?? last.prediction, error: wasWanted ? undefined : error }));
      return undefined;
    } finally {
      if (running.current === now) running.current = undefined;
    }
  }, [client, owner, leave, sendCancel]);

  const run = useCallback(async <M extends ModelName>(model: M, input: InputOf<M>, options: Omit<CreateOptions, "signal"> = {}) => {
    const now = running.current;
    if (now !== undefined && now.owner === owner) return undefined;
    return follow((client, waiting) => client.run(model, input, { ...options, ...waiting }));
  }, [owner, follow]);

  const shown = state.owner === owner ? state : IDLE;
  useEffect(() => {
    const now = running.current;
    const isKnown = now?.owner === owner && now?.jobId === jobId;
    const hasIt = shown.prediction !== undefined && shown.prediction.job_id === jobId && hasEnded(shown.prediction);
    if (jobId === undefined || client === undefined || isKnown || hasIt) return;
    void follow(async (client, waiting) => {
      const ended = await client.wait(jobId, waiting);
      if (ended.status !== "succeeded") throw failureOf(ended);
      return ended;
    }, jobId);
    // Only these decide what to follow. The state of the last render tells that it has ended.
  }, [jobId, owner]);

  const { isRunning, prediction, error } = isOwner ? shown : IDLE;
  return { isRunning, prediction, error, run, cancel };
}

function checked(client: Client | undefined): Client {
  check(typeof client?.run === "function", "client", "the result of valetkey(), as an argument or in <ValetkeyProvider>", client);
  return client as Client;
}
