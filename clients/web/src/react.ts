// `valetkey/react`: one prediction at a time in a component.
import { useCallback, useEffect, useRef, useState } from "react";
import type { Client, CreateOptions, Input } from "./client.ts";
import type { ValetkeyError } from "./errors.ts";
import type { Prediction } from "./schema.ts";

export interface PredictionState {
  /** From the press of the button to the end. */
  isRunning: boolean;
  /** As it is now: the place in the queue, the output. */
  prediction: Prediction | undefined;
  /** Why there is none, or why it failed; absent after a cancel that was asked for. */
  error: ValetkeyError | undefined;
}

export interface UsePrediction extends PredictionState {
  /** Starts, and resolves at the end: with the prediction if it succeeded. Never rejects: see `error`. Ignored while one is running. */
  run(model: string, input: Input, options?: Omit<CreateOptions, "signal">): Promise<Prediction | undefined>;
  /** Asks for the end, also of one that has no id yet. */
  cancel(): void;
}

interface Running {
  /** Whose prediction it is: another client may be another user's. */
  client: Client;
  controller: AbortController;
  jobId?: string;
  cancelWanted: boolean;
}

const IDLE: PredictionState = { isRunning: false, prediction: undefined, error: undefined };

/** Follows a prediction in a component's state. When the component goes the watching ends, and the prediction goes on. */
export function usePrediction(client: Client): UsePrediction {
  const [state, setState] = useState({ ...IDLE, client });
  const running = useRef<Running>(undefined);

  const leave = useCallback(() => {
    const now = running.current;
    running.current = undefined;
    // A wish to cancel waits for the id: to hang up would not stop the vendor.
    if (now?.jobId !== undefined || now?.cancelWanted === false) now.controller.abort();
  }, []);

  useEffect(() => {
    if (running.current !== undefined && running.current.client !== client) leave();
  }, [client, leave]);

  // Also when it is only hidden, and as React's strict mode tries it: whoever shows it again may start anew.
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

  const run = useCallback(async (model: string, input: Input, options: Omit<CreateOptions, "signal"> = {}) => {
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
