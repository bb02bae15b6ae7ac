/**
 * Confidence intervals for a mean.
 */

/**
 * An interval that contains the mean of the population with the given confidence, if the numbers are
 * independent draws from it and their mean is nearly normal. Its ends are NaN while there are too few
 * numbers.
 */
export interface Interval {
  /** The lower end. */
  readonly low: number;
  /** The upper end. */
  readonly high: number;
}

/** mean ± t · √(variance / count), with Student's t for count − 1 degrees of freedom. */
export function meanInterval(mean: number, variance: number, count: number, confidence: number): Interval {
  return intervalAround(mean, { standardError: Math.sqrt(variance / count), count }, confidence);
}

/** mean ± t · standardError; an end beyond float64 is infinite. */
export function intervalAround(
  mean: number,
  { standardError, count }: { readonly standardError: number; readonly count: number },
  confidence: number,
): Interval {
  // If the numbers are all equal, the interval is a point, however large t is.
  const half = standardError === 0 ? 0 : studentQuantile(confidence, count - 1) * standardError;
  return { low: mean - half, high: mean + half };
}

/**
 * t with P(|T| ≤ t) = confidence for Student's distribution of any number of degrees of freedom above 0:
 * Newton's method in logarithms, in which the masses within t and beyond t are concave, so that it converges.
 */
export function studentQuantile(confidence: number, freedom: number): number {
  if (!(freedom > 0)) return NaN;
  if (freedom > MANY) {
    // The continued fraction converges more slowly for more degrees of freedom, where the quantile is nearly
    // linear in 1 / freedom.
    const near = studentQuantile(confidence, MANY), nearer = studentQuantile(confidence, MANY / 2);
    return near + (near - nearer) * (1 - MANY / freedom);
  }
  // The smaller of the two masses has no cancellation.
  const isBeyond = confidence > 0.5;
  const target = Math.log(isBeyond ? 1 - confidence : confidence);
  // The start is above the normal quantile for the mass beyond t, and below the quantile for the mass within
  // t.
  let t = isBeyond ? Math.sqrt(-2 * target) : confidence * Math.sqrt(Math.PI / 2);
  for (let turn = 0; turn < 100 && t > 0 && t < HUGE; turn++) {
    const { slope, within, beyond } = studentMasses(t, freedom);
    const mass = isBeyond ? beyond : within;
    const step = (target - Math.log(mass)) * mass / slope;
    t *= Math.exp(isBeyond ? -step : step);
    if (Math.abs(step) < 1e-15) break;
  }
  return t < HUGE ? t : Infinity;
}

/** From this number of degrees of freedom on the quantile is linear to seven digits. */
const MANY = 1e4;
/** The square of a number above this may be beyond float64. */
const HUGE = 1e150;

/** P(|T| ≤ t) and P(|T| > t), and by how much they change with ln t: 2 t times the density. */
function studentMasses(
  t: number,
  freedom: number,
): { readonly slope: number; readonly within: number; readonly beyond: number } {
  const a = freedom / 2, square = t * t / freedom;
  const density = gammaRatio(a) / Math.sqrt(Math.PI * freedom) * Math.exp(-(a + 0.5) * Math.log1p(square));
  const slope = 2 * t * density;
  // With y = t² / (ν + t²), these are the regularized incomplete beta functions I_y(½, a) and I_{1−y}(a, ½).
  const y = square / (1 + square);
  if (y < 1.5 / (a + 2.5)) {
    let term = 1, sum = 1;
    for (let n = 0; term > 1e-17 * sum; n++) sum += term *= (a + 0.5 + n) / (1.5 + n) * y;
    const within = slope * sum;
    return { slope, within, beyond: 1 - within };
  }
  const beyond = slope / freedom * betaFraction(a, 1 / (1 + square));
  return { slope, within: 1 - beyond, beyond };
}

/** The continued fraction of I_x(a, ½), by Lentz's method. Source: Abramowitz and Stegun, 26.5.8. */
function betaFraction(a: number, x: number): number {
  let c = 1, d = 0, fraction = 1;
  for (let n = 1; n < 1000; n++) {
    const m = n >> 1;
    const coefficient = n % 2 === 0
      ? m * (0.5 - m) / ((a + n - 1) * (a + n))
      : -(a + m) * (a + 0.5 + m) / ((a + n - 1) * (a + n));
    d = 1 / (1 + coefficient * x * d);
    c = 1 + coefficient * x / c;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return 1 / fraction;
}

/** Γ(a + ½) / Γ(a): its asymptotic series, to which smaller arguments are led by Γ(a + 1) = a Γ(a). */
function gammaRatio(a: number): number {
  let factor = 1;
  for (; a < 100; a++) factor *= a / (a + 0.5);
  const b = 1 / (8 * a);
  return factor * Math.sqrt(a) * (1 - b * (1 - b / 2 * (1 + b * (5 - b * (21 + 399 * b) / 4))));
}
