/**
 * Counts of the requests of one engine to its device.
 */

/** Counts since the engine was made. */
export interface Traffic {
  /** Command buffers submitted. */
  submits: number;
  /** Kernels dispatched. */
  dispatches: number;
  /** Buffers mapped to be read. */
  maps: number;
  /** Bytes written to the device. */
  bytesUp: number;
  /** Bytes read from it. */
  bytesDown: number;
  /** Milliseconds that the device was busy by its own clock, up to the last answer; 0 if it has no clock. */
  busyMs: number;
  /** The number of live buffers, and their bytes. */
  buffers: number;
  bufferBytes: number;
}

/** Counts of 0. */
export function noTraffic(): Traffic {
  return {
    submits: 0,
    dispatches: 0,
    maps: 0,
    bytesUp: 0,
    bytesDown: 0,
    busyMs: 0,
    buffers: 0,
    bufferBytes: 0,
  };
}
