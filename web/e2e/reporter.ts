import type { FullResult, Reporter, TestCase, TestResult } from "@playwright/test/reporter";

const say = (line: string) => process.stdout.write(`${line}\n`);

/** One line a test, and last the two lines a script can add up: `N passed` and `N failed`. */
export default class Lines implements Reporter {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  onStdOut(chunk: string | Buffer): void {
    process.stdout.write(chunk);
  }

  onStdErr(chunk: string | Buffer): void {
    process.stderr.write(chunk);
  }

  onTestEnd(test: TestCase, result: TestResult): void {
    const title = test.titlePath().slice(2).join(" > ");
    if (result.status === "skipped") {
      this.#skipped += 1;
      say(`  skip ${title}`);
    } else if (result.status === test.expectedStatus) {
      this.#passed += 1;
      say(`  ok   ${title} (${(result.duration / 1000).toFixed(1)} s)`);
    } else {
      this.#failed += 1;
      say(`  FAIL ${title} (${result.status})`);
      for (const error of result.errors) say(error.stack ?? error.message ?? String(error.value));
    }
  }

  onError(error: { message?: string; stack?: string }): void {
    this.#failed += 1;
    say(error.stack ?? error.message ?? "error outside a test");
  }

  onEnd(result: FullResult): void {
    if (result.status !== "passed" && this.#failed === 0) this.#failed = 1;
    if (this.#skipped > 0) say(`${this.#skipped} skipped`);
    say(`${this.#passed} passed`);
    say(`${this.#failed} failed`);
  }
}
