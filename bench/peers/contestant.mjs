import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/**
 * @typedef {{ ms: number, cpuMs: number, kernelMs?: number, loss: number | null, ordinaryMs?: number[] }} Step A timed
 *   step, the mean where a command asks for several; times in milliseconds, `cpuMs` over all threads, `kernelMs` of the queue in kernels.
 */

/** A child process that runs one training step whenever it is told to, and sleeps in between. */
export class Contestant {
  /** @type {Step[]} */
  steps = [];
  /** What it said when it was ready. @type {Record<string, any>} */
  facts = {};
  peakRssBytes = 0;
  /** Of a GPU's memory. */
  peakDeviceBytes = 0;
  eventLoopP99Ms = 0;
  #errors = "";
  #child;
  #lines;

  /**
   * @param {string} name
   * @param {string} command
   * @param {string[]} args
   */
  constructor(name, command, args) {
    this.name = name;
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    this.#child.stdin.on("error", () => {}); // the missing answer says more
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Waits for the end of the warm-up. */
  async ready() {
    this.facts = await this.#answer();
  }

  async step() {
    this.#child.stdin.write("step\n");
    this.steps.push(/** @type {Step} */ (await this.#answer()));
  }

  async quit() {
    this.#child.stdin.end("quit\n");
    const { peakRssBytes, peakDeviceBytes = 0, eventLoopP99Ms = 0 } = await this.#answer();
    Object.assign(this, { peakRssBytes, peakDeviceBytes, eventLoopP99Ms });
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }

  kill() {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
  }

  /** @returns {Promise<Record<string, any>>} */
  async #answer() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.name}: expected an answer, got the end of the process:\n${this.#errors}`);
    return JSON.parse(value);
  }
}
