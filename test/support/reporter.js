/**
 * Jest's last words, for a person and for .ci/run: what could not run on this machine and the command that changes it, the time, and the
 * line `N passed, N failed, N skipped`. Plain JavaScript: Jest loads a reporter as it is, also under an older Node.
 */

/** What `describeWith` in neighbours.ts writes behind the title of tests that it skips. */
const NEED = /\[needs (.+?)\]/;

export default class Reporter {
  #skipped = 0;

  /**
   * @param {unknown} _contexts
   * @param {{ startTime: number, numPassedTests: number, numFailedTests: number, numRuntimeErrorTestSuites: number,
   *   testResults: readonly { testResults: readonly { status: string, fullName: string }[] }[] }} results
   */
  onRunComplete(_contexts, results) {
    const skipped = results.testResults.flatMap((file) => file.testResults).filter(({ status }) => status === "pending");
    this.#skipped = skipped.length;
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const lines = [
      ...notRun(skipped),
      ...(this.getLastError() ? ["CI skips no test: this run has failed."] : []),
      `Took ${((Date.now() - results.startTime) / 1000).toFixed(1)} s.`,
      `${results.numPassedTests} passed, ${failed} failed, ${skipped.length} skipped`,
    ];
    // Jest writes its own summary after every reporter, so the last words have to wait for the exit.
    process.once("exit", () => process.stdout.write(`\n${lines.join("\n")}\n`));
  }

  /** In CI a skipped test is a failure: every neighbour can be installed there. */
  getLastError() {
    return process.env["CI"] === "true" && this.#skipped > 0 ? new Error("tests were skipped") : undefined;
  }
}

/** @param {readonly { fullName: string }[]} skipped @returns {string[]} */
function notRun(skipped) {
  const reasons = skipped.map(({ fullName }) => {
    const need = NEED.exec(fullName)?.[1];
    return need ? `needs ${need}` : "switched off, or outside of the filter";
  });
  const counts = new Map(reasons.map((reason) => [reason, reasons.filter((other) => other === reason).length]));
  return [...counts].map(([reason, count]) => `Not run here (${count}): ${reason}`);
}
