// The learned forecast in a worker, beside a sweep. One message asks for it; it is answered by any number of
// "progress" messages and then one "outcome" or "failure".

/// <reference lib="deno.worker" />

import { type LearnedForecast, learnedForecast, type LearnedForecastOptions } from "./learned_forecast.ts";

export type LearnedReply =
  | { readonly kind: "progress"; readonly done: number; readonly total: number }
  | { readonly kind: "outcome"; readonly outcome: LearnedForecast }
  | { readonly kind: "failure"; readonly message: string };

const REPORT_EVERY_DAYS = 50;

self.onmessage = async ({ data }: MessageEvent<LearnedForecastOptions>) => {
  try {
    const outcome = await learnedForecast(data, (done, total) => {
      if (done % REPORT_EVERY_DAYS === 0) reply({ kind: "progress", done, total });
    });
    reply({ kind: "outcome", outcome });
  } catch (error) {
    reply({ kind: "failure", message: error instanceof Error ? error.message : String(error) });
  }
};

function reply(message: LearnedReply): void {
  self.postMessage(message);
}
