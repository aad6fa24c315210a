/** One measurement that several figures are from. */

/** Measures the first time it is asked, and answers the same ever after. */
export function shared<Result>(
  measure: (interrupted: AbortSignal) => Promise<Result>,
): (interrupted: AbortSignal) => Promise<Result> {
  let result: Promise<Result> | undefined;
  return (interrupted) => result ??= measure(interrupted);
}
