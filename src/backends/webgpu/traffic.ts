/**
 * Counts of the requests of one engine to its device, made where it is asked.
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
  /** Milliseconds that the device was busy by its own clock, as far as it has told; 0 where it has none. */
  busyMs: number;
  /** Buffers that are alive, and their bytes. */
  buffers: number;
  bufferBytes: number;
}

/** Nothing yet. */
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
