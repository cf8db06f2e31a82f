// What came of the tests, in the lines that end the test command.

interface Failure {
  /** Of the test, or of the suite or file that failed by itself. */
  name: string;
  message: string;
}

export interface Outcome {
  passed: number;
  skipped: number;
  failures: Failure[];
}

/** Failures that are told again, and lines of each. */
const MOST_FAILURES = 20;
const MOST_LINES = 3;

/** The first lines of each failure, and as the last line of all `12 passed, 0 failed`. */
export function closingLines({ passed, skipped, failures }: Outcome): string[] {
  const told = failures.slice(0, MOST_FAILURES).flatMap(({ name, message }) => {
    const lines = message.split("\n").filter((line) => line.trim() !== "");
    return [`failed: ${name}`, ...lines.slice(0, MOST_LINES).map((line) => `  ${line}`)];
  });
  const more = failures.length - MOST_FAILURES;
  const numbers = `${passed} passed, ${failures.length} failed`;
  return [
    ...told,
    ...(more > 0 ? [`… and ${more} more`] : []),
    skipped > 0 ? `${numbers}, ${skipped} skipped` : numbers,
  ];
}
