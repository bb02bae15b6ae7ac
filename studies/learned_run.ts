// Runs the learned forecast in a worker of its own, so that it takes its own core.

import type { LearnedForecast, LearnedForecastOptions } from "./learned_forecast.ts";
import type { LearnedReply } from "./learned_worker.ts";

/** The learned forecast of `options`; the worker is ended with it, or by the signal. */
export async function runLearned(
  options: LearnedForecastOptions,
  { signal, onProgress = () => {} }: {
    readonly signal?: AbortSignal;
    readonly onProgress?: (done: number, total: number) => void;
  } = {},
): Promise<LearnedForecast> {
  signal?.throwIfAborted();
  const worker = new Worker(new URL("./learned_worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<LearnedForecast>();
  const stop = () => reject(signal?.reason);
  signal?.addEventListener("abort", stop);
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(`learned forecast: its worker failed (${event.message})`));
  };
  worker.onmessage = ({ data }: MessageEvent<LearnedReply>) => {
    if (data.kind === "progress") onProgress(data.done, data.total);
    else if (data.kind === "outcome") resolve(data.outcome);
    else reject(new Error(`learned forecast: it failed (${data.message})`));
  };
  worker.postMessage(options);
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", stop);
    worker.terminate();
  }
}
