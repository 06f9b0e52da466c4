import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digitsDataset } from "../../src/data/index.js";
import { type TrainConfigInput, train } from "../../src/east/index.js";
import { compileLibrary, runProgram } from "./child.js";
import { collect, sha256, temporaryFolders } from "./tiny.js";

const library = mkdtempSync(join(tmpdir(), "easting-exit-"));
beforeAll(() => compileLibrary(library));
afterAll(() => rmSync(library, { recursive: true, force: true }));
const folder = temporaryFolders();

const config = {
  model: "resnet20",
  sparsity: 95,
  epochs: 3,
  batch: 128,
  cycleUpdateEvery: 2,
} satisfies TrainConfigInput;
const program = (body: string) => `
  import { writeSync } from "node:fs";
  import { fit, imageFormat, openDataset, prepare, synchronize, train } from "./dist/index.js";
  const config = ${JSON.stringify(config)};
  const data = await openDataset("digits");
  ${body}
`;

describe("a process that trains", () => {
  it("ends by itself with code 0 when training is over or is left", async () => {
    const body = 'for await (const event of train(config, data)) if (event.step === 2) break; console.log("left");';
    expect(await runProgram(library, program(body))).toEqual({ code: 0, signal: null, out: "left\n", error: "" });
  });

  it.each([
    ["in a callback of the loop", "if (event.step === 2) process.exit(3);"],
    ["while a step computes", "if (event.step === 2) setTimeout(() => process.exit(3), 1);"],
  ])("and calls process.exit %s has the code it asked for", async (_, leave) => {
    const body = `for await (const event of train(config, data)) { ${leave} }`;
    expect(await runProgram(library, program(body))).toEqual({ code: 3, signal: null, out: "", error: "" });
  });

  it("and has work queued when it is told to exit does not crash", async () => {
    const body = `
      const { model, callbacks } = prepare({ ...config, method: "dense" }, imageFormat(data), 1000);
      const { Tensor } = await import("./dist/index.js");
      const images = Tensor.zeros([1, 32, 32, 256]);
      for (let i = 0; i < 5; i++) model.forward(images);
      process.exit(4);
    `;
    expect(await runProgram(library, program(body))).toEqual({ code: 4, signal: null, out: "", error: "" });
  });

  it("and throws in a callback ends with code 1 and says what was thrown", async () => {
    const body = `
      const recipe = prepare(config, imageFormat(data), data.train.count);
      const broken = { name: "broken", onStepEnd() { throw new RangeError("the callback broke"); } };
      const callbacks = [...recipe.callbacks, broken];
      for await (const event of fit(recipe.model, data, { ...recipe.fit, callbacks }));
    `;
    const { code, signal, error } = await runProgram(library, program(body));
    expect([code, signal]).toEqual([1, null]);
    expect(error).toContain("RangeError: the callback broke");
  });

  it("and throws outside the loop while a step computes ends with code 1", async () => {
    const body = `
      setTimeout(() => { throw new Error("elsewhere"); }, 20);
      for await (const event of train(config, data));
    `;
    const { code, signal, error } = await runProgram(library, program(body));
    expect([code, signal]).toEqual([1, null]);
    expect(error).toContain("Error: elsewhere");
  });

  it("and is killed without warning goes on from its last checkpoint and ends as if nothing had happened", async () => {
    const [whole, killed] = [folder(), folder()];
    const data = digitsDataset();
    await collect(train(config, data, { out: whole }));
    const body = `
      for await (const event of train(config, data, { out: ${JSON.stringify(killed)}, saveEvery: 4 }))
        writeSync(1, event.type + " " + event.step + "\\n");
    `;
    const { signal, out } = await runProgram(library, program(body), (text, child) => {
      if (text.includes("step 14\n")) child.kill("SIGKILL");
    });
    expect(signal).toBe("SIGKILL");
    expect(out).toContain("checkpoint 12\n");
    const [start] = await collect(train(config, data, { out: killed, resume: true }));
    expect(start.step).toBeGreaterThanOrEqual(12);
    const last = "checkpoints/step-00000033.ckpt";
    expect(sha256(join(killed, last))).toBe(sha256(join(whole, last)));
  });
});
