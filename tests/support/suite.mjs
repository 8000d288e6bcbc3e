// Runs named tests one after another, counts them and sets the exit code.

const TEST_TIMEOUT_MS = 90_000;

export class Suite {
  #passed = 0;
  #failed = 0;

  /** Runs `[name, test]` pairs in order; each test gets `world`. ONLY=text selects the tests whose name contains it. */
  async run(tests, world, onFailure = () => {}) {
    for (const [name, test] of tests) {
      if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
      const startedAt = performance.now();
      let timer;
      try {
        const late = new Promise((_, reject) => {
          timer = setTimeout(() => reject(new Error(`timed out after ${TEST_TIMEOUT_MS} ms`)), TEST_TIMEOUT_MS);
        });
        await Promise.race([test(world), late]);
        this.#passed += 1;
        console.log(`ok      ${name} (${Math.round(performance.now() - startedAt)} ms)`);
      } catch (error) {
        this.#failed += 1;
        console.log(`FAILED  ${name}\n${error.stack}`);
        onFailure();
      } finally {
        clearTimeout(timer);
      }
    }
  }

  /** Reports what this machine cannot test, and why. In CI that is a failure. */
  skip(what, why) {
    console.log(`skipped: ${what}: ${why}`);
    if (process.env.CI) {
      console.log("CI must not skip: this counts as a failure");
      this.#failed += 1;
    }
  }

  finish() {
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    process.exitCode = this.#failed === 0 ? 0 : 1;
  }
}
