// Types of the assertions that the tests use.

export class AssertionError extends Error {}

// deno-lint-ignore no-explicit-any -- a constructor of any parameters, as TypeScript's own InstanceType takes it
type AnyConstructor<E> = abstract new (...args: any[]) => E;

export function assert(condition: unknown, message?: string): asserts condition;
export function assertFalse(condition: unknown, message?: string): asserts condition is false;
export function assertEquals<T>(actual: T, expected: T, message?: string): void;
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T;
export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T>;
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  message?: string,
): void;
export function assertGreater<T>(actual: T, than: T, message?: string): void;
export function assertGreaterOrEqual<T>(actual: T, than: T, message?: string): void;
export function assertLess<T>(actual: T, than: T, message?: string): void;
export function assertLessOrEqual<T>(actual: T, than: T, message?: string): void;
export function assertStringIncludes(actual: string, expected: string, message?: string): void;
export function assertMatch(actual: string, expected: RegExp, message?: string): void;
export function assertInstanceOf<E>(
  actual: unknown,
  type: AnyConstructor<E>,
  message?: string,
): asserts actual is E;
export function assertThrows<E extends Error = Error>(
  run: () => unknown,
  type: AnyConstructor<E>,
  messageIncludes?: string,
): E;
export function assertRejects<E extends Error = Error>(
  run: () => PromiseLike<unknown>,
  type: AnyConstructor<E>,
  messageIncludes?: string,
): Promise<E>;
export function fail(message?: string): never;
