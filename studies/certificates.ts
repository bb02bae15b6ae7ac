// The bounds of stale answers, compared with exact attention. An output is one number, so its Euclidean
// distance from exact is the absolute difference.

/** The results for the bounds of a run, as plain data; those of parts can be joined. */
export interface CertificateRecord {
  /** The number of bounds, one per query of a read. */
  readonly given: number;
  /** How many of them were broken: the row was further from exact than its bound. */
  readonly violations: number;
  readonly largestBound: number;
  /** bound / distance, of each row that is further from exact than rounding alone takes it. */
  readonly ratios: Float64Array;
}

/** Outputs are about 1, where float32 rounds by 2⁻²⁴ at most: what is this far off is stale. */
export const STALE_DISTANCE = 2 ** -22;

/** Records the certificates of one reading after the other. */
export class CertificateRecorder {
  readonly #ratios: number[] = [];
  #given = 0;
  #violations = 0;
  #largestBound = 0;

  /** `exact[offset + i]` is what `read[i]` should be, `bounds[i]` how far off it may be. */
  add(read: ArrayLike<number>, bounds: ArrayLike<number>, exact: ArrayLike<number>, offset: number): void {
    for (let i = 0; i < read.length; i++) {
      const distance = Math.abs(read[i] - exact[offset + i]);
      this.#given++;
      // So written, a NaN on either side breaks a promise too.
      if (!(distance <= bounds[i])) this.#violations++;
      this.#largestBound = Math.max(this.#largestBound, bounds[i]);
      if (distance > STALE_DISTANCE) this.#ratios.push(bounds[i] / distance);
    }
  }

  record(): CertificateRecord {
    return {
      given: this.#given,
      violations: this.#violations,
      largestBound: this.#largestBound,
      ratios: Float64Array.from(this.#ratios),
    };
  }
}

/** The record of two parts together; null where neither has certificates. */
export function joinCertificates(
  a: CertificateRecord | null,
  b: CertificateRecord | null,
): CertificateRecord | null {
  if (a === null || b === null) return a ?? b;
  return {
    given: a.given + b.given,
    violations: a.violations + b.violations,
    largestBound: Math.max(a.largestBound, b.largestBound),
    ratios: Float64Array.from([...a.ratios, ...b.ratios]),
  };
}
