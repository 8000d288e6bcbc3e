// Counts the responses, so that a run in which every request was refused does not pass.

const MIN_EXAMPLES = 10_000;
// Least share of 2xx in all responses. The rest are mostly refusals of negative tests.
const MIN_GOOD_SHARE = 0.2;
// Operations that need not succeed. Only the vendor knows a webhook's capability. A vendor stream exists only while its
// prediction runs, and is opened at most every 10 s, so that a success is luck.
const SELDOM_GOOD = ["webhook", "streamPrediction"];

export class Tally {
  #methods;
  #answers = [];

  constructor(document) {
    const operations = Object.values(document.paths).flatMap((item) => Object.entries(item));
    this.#methods = new Map(operations.map(([method, { operationId }]) => [operationId, method.toUpperCase()]));
  }

  /** Adds the lines of hooks.py, without those whose method is not the operation's. */
  add(lines) {
    const answers = lines.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    this.#answers.push(...answers.filter(({ operation, method }) => this.#methods.get(operation) === method));
  }

  print() {
    for (const operation of this.#methods.keys()) {
      const counts = countBy(this.#answers.filter((answer) => answer.operation === operation), ({ status }) => status);
      const text = Object.entries(counts).map(([status, count]) => `${status}: ${count}`);
      console.log(`${operation.padEnd(24)} ${text.join(", ")}`);
    }
    const statuses = countBy(this.#answers, ({ status }) => `${Math.floor(status / 100)}xx`);
    console.log(`${this.#answers.length} examples: ${JSON.stringify(statuses)}`);
  }

  problems() {
    const good = this.#answers.filter(({ status }) => status < 300);
    const met = new Set(good.map(({ operation }) => operation));
    const missed = [...this.#methods.keys()].filter((operation) => !met.has(operation) && !SELDOM_GOOD.includes(operation));
    return [
      ...missed.map((operation) => `${operation} never succeeded`),
      ...(this.#answers.length < MIN_EXAMPLES ? [`fewer than ${MIN_EXAMPLES} examples`] : []),
      ...(good.length < MIN_GOOD_SHARE * this.#answers.length ? [`only ${good.length} successful responses`] : []),
    ];
  }
}

function countBy(items, key) {
  const counts = {};
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1;
  return counts;
}
