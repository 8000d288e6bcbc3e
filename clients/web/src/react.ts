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
  controller: AbortController;
  jobId?: string;
  cancelWanted: boolean;
}

const IDLE: PredictionState = { isRunning: false, prediction: undefined, error: undefined };

/** Follows a prediction in a component's state. When the component goes the watching ends, and the prediction goes on. */
export function usePrediction(client: Client): UsePrediction {
  const [state, setState] = useState(IDLE);
  const running = useRef<Running>(undefined);

  // Also when it is only hidden, and as React's strict mode tries it: whoever shows it again may start anew.
  useEffect(() => () => {
    running.current?.controller.abort();
    running.current = undefined;
    setState((last) => ({ ...last, isRunning: false }));
  }, []);

  const cancel = useCallback(() => {
    const now = running.current;
    if (now === undefined) return;
    now.cancelWanted = true;
    // Before it has an id the wish waits: to hang up would not stop the vendor.
    if (now.jobId === undefined) return;
    client.cancel(now.jobId).catch((error: ValetkeyError) => {
      now.cancelWanted = false;
      if (running.current === now) setState((last) => ({ ...last, error }));
    });
  }, [client]);

  const run = useCallback(async (model: string, input: Input, options: Omit<CreateOptions, "signal"> = {}) => {
    if (running.current !== undefined) return undefined;
    const now: Running = { controller: new AbortController(), cancelWanted: false };
    const { signal } = now.controller;
    running.current = now;
    setState({ ...IDLE, isRunning: true });
    const onUpdate = (prediction: Prediction): void => {
      if (running.current !== now) return;
      const isFirst = now.jobId === undefined;
      now.jobId = prediction.job_id;
      setState((last) => ({ ...last, prediction }));
      if (isFirst && now.cancelWanted) cancel();
    };
    try {
      const prediction = await client.run(model, input, { ...options, signal, onUpdate });
      if (running.current === now) setState({ ...IDLE, prediction });
      return prediction;
    } catch (thrown) {
      if (running.current !== now) return undefined;
      const error = thrown as ValetkeyError;
      const wasWanted = now.cancelWanted && error.code === "canceled";
      setState((last) => ({ isRunning: false, prediction: error.prediction ?? last.prediction, error: wasWanted ? undefined : error }));
      return undefined;
    } finally {
      if (running.current === now) running.current = undefined;
    }
  }, [client, cancel]);

  return { ...state, run, cancel };
}
