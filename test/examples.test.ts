import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const folder = fileURLToPath(new URL("../examples", import.meta.url));
const ends: Record<string, RegExp> = {
  "resume.mjs": /last checkpoints:\n {2}([0-9a-f]{64})\n {2}\1\n$/,
  "tensors-and-autograd.mjs": /\nfound the inputs of the target\n$/,
  "train.mjs": /\ntest accuracy [89]\d\.\d\d % with 2706 weights\n$/,
  "write-a-method.mjs": /\ntest accuracy [89]\d\.\d\d %, \d+ weights moved\n$/,
};

describe("the examples", () => {
  it("are the ones tested here, each under 50 lines", () => {
    expect(readdirSync(folder).sort()).toEqual(Object.keys(ends));
    for (const name of Object.keys(ends))
      expect(readFileSync(join(folder, name), "utf8").split("\n").length).toBeLessThanOrEqual(50);
  });

  it.each(Object.entries(ends))("%s ends as it should", (name, end) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, name)], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(end);
  });
});
