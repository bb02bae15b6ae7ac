/**
 * The clock of hosts and clients. Everything that waits in a cluster waits by it, so that a simulation can
 * run it.
 */

/** Time that only runs forwards, and waiting. */
export interface Clock {
  /** Milliseconds since some moment. */
  now(): number;
  /** Resolves after `ms` milliseconds, or early when the signal is aborted; it never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of the machine. It runs on while the process is stopped. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener("abort", end);
    });
  },
};

/** The parts of hosts and clients that a test may replace. */
export interface ClusterSeams {
  readonly clock: Clock;
  /** A name that nobody has had, 16 hexadecimal digits. */
  readonly newName: () => string;
}

/** The parts that hosts and clients have unless a test gives others. */
export const SYSTEM_SEAMS: ClusterSeams = {
  clock: systemClock,
  newName: () => crypto.randomUUID().replaceAll("-", "").slice(0, 16),
};
