// `valetkey/react`: a hook that runs one prediction at a time in a component.
import { useCallback, useEffect, useRef, useState } from "react";
import { check } from "./arguments.ts";
import type { Client, CreateOptions } from "./client.ts";
import type { ValetkeyError } from "./errors.ts";
import type { InputOf, ModelName } from "./models.ts";
import type { Prediction } from "./schema.ts";

export interface PredictionState {
  /** True from the call of `run` until the prediction has ended. */
  isRunning: boolean;
  /** Current state of the prediction, with its queue position or output. */
  prediction: Prediction | undefined;
  /** Why the create or the prediction failed. Absent after a cancel that the app requested. */
  error: ValetkeyError | undefined;
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
  /** Client that created the prediction. Another client may belong to another user. */
  client: Client;
  /** Stops waiting for the prediction. */
  controller: AbortController;
  /** Set once the create has returned. */
  jobId?: string;
  /** Set when the app has called `cancel`. */
  cancelWanted: boolean;
}

const IDLE: PredictionState = { isRunning: false, prediction: undefined, error: undefined };

/**
 * Follows a prediction in a component's state. Unmounting the component only stops following: the prediction continues
 * and is billed.
 */
export function usePrediction(client: Client): UsePrediction {
  const [state, setState] = useState({ ...IDLE, client });
  const running = useRef<Running>(undefined);

  const leave = useCallback(() => {
    const now = running.current;
    running.current = undefined;
    // A cancel that is waiting for the job id keeps the create going: aborting the request would not stop the vendor.
    if (now?.jobId !== undefined || now?.cancelWanted === false) now.controller.abort();
  }, []);

  useEffect(() => {
    if (running.current !== undefined && running.current.client !== client) leave();
  }, [client, leave]);

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

  const run = useCallback(async <M extends ModelName>(model: M, input: InputOf<M>, options: Omit<CreateOptions, "signal"> = {}) => {
    if (running.current?.client === client) return undefined;
    leave();
    const now: Running = { client, controller: new AbortController(), cancelWanted: false };
    const { signal } = now.controller;
    running.current = now;
    setState({ ...IDLE, client, isRunning: true });
    const onUpdate = (prediction: Prediction): void => {
      const isFirst = now.jobId === undefined;
      now.jobId = prediction.job_id;
      if (isFirst && now.cancelWanted) void sendCancel(now, prediction.job_id);
      if (running.current === now) setState((last) => ({ ...last, prediction }));
      else now.controller.abort();
    };
    try {
      check(typeof client?.run === "function", "client", "the result of valetkey()", client);
      const prediction = await client.run(model, input, { ...options, signal, onUpdate });
      if (running.current === now) setState({ ...IDLE, client, prediction });
      return prediction;
    } catch (thrown) {
      if (running.current !== now) return undefined;
      const error = thrown as ValetkeyError;
      const wasWanted = now.cancelWanted && error.code === "canceled";
      setState((last) => ({ ...last, isRunning: false, prediction: error.prediction ?? last.prediction, error: wasWanted ? undefined : error }));
      return undefined;
    } finally {
      if (running.current === now) running.current = undefined;
    }
  }, [client, leave, sendCancel]);

  const { isRunning, prediction, error } = state.client === client ? state : IDLE;
  return { isRunning, prediction, error, run, cancel };
}
