import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const require = createRequire(import.meta.url);
const scripts = fileURLToPath(new URL("../scripts", import.meta.url));
const { secondsFor } = require(`${scripts}/gpu/budget.cjs`);
const { runCommand } = require(`${scripts}/gpu/command.cjs`);
const { judgeSanitizer, judgeTests } = require(`${scripts}/gpu/judge.cjs`);
const { markdown } = require(`${scripts}/gpu/report.cjs`);

describe("gpu:verify", () => {
  it("says in one sentence that there is no GPU", () => {
    const { status, stderr } = spawnSync(process.execPath, [`${scripts}/gpu-verify.cjs`], {
      env: { PATH: "" },
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: "gpu-verify: expected an NVIDIA GPU, got none (no nvidia-smi)\n",
    });
  });

  it("gives a stage its limit, less where later ones would lose the least that they need", () => {
    const stages = [
      { name: "build", group: 0, limit: 200, least: 100 },
      { name: "tests", group: 1, limit: 150, least: 40 },
      { name: "memcheck", group: 1, limit: 100, least: 60 },
      { name: "bench", group: 2, limit: 90, least: 50 },
    ];
    expect(secondsFor(stages, "build", 500)).toBe(200);
    expect(secondsFor(stages, "build", 300)).toBe(190); // side by side, tests and memcheck need 60
    expect(secondsFor(stages, "tests", 120)).toBe(70);
    expect(secondsFor(stages, "tests", 60)).toBe(40);
    expect(secondsFor(stages, "bench", 20)).toBe(20);
  });

  it("ends a command at its limit, with what that has started", async () => {
    const { stopped, seconds, output } = await runCommand("bash", ["-c", "echo begun; sleep 60 & sleep 60"], {
      seconds: 0.5,
    });
    expect({ stopped, output }).toEqual({ stopped: true, output: "begun\n" });
    expect(seconds).toBeLessThan(30);
  });

  it("notes a command that is not there", async () => {
    expect(await runCommand("/no/such/tool", [], { seconds: 5 })).toMatchObject({ status: null, stopped: false });
  });

  it.each([
    ["passed", 0, "every kernel ran\n========= ERROR SUMMARY: 0 errors\n"],
    ["passed", 0, "every kernel ran\n========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n"],
    ["failed", 0, "every kernel ran\n========= RACECHECK SUMMARY: 2 hazards displayed (0 errors, 2 warnings)\n"],
    ["failed", 99, "every kernel ran\n========= ERROR SUMMARY: 3 errors\n"],
    ["failed", 1, "Error\n========= ERROR SUMMARY: 0 errors\n"],
    ["not run", 1, "========= Error: Device not supported\n"],
    ["not run", null, "spawn compute-sanitizer ENOENT\n"],
  ])("%s is what a sanitizer that ends with %s and says %j has", (expected, status, output) => {
    expect(judgeSanitizer({ status, stopped: false, output }).status).toBe(expected);
  });

  it("counts tests, and files that could not be loaded among the failures", () => {
    const report = {
      testResults: [
        { name: "/x/test/ops/a.test.ts", status: "failed", message: "no such module", assertionResults: [] },
        { name: "/x/test/ops/b.test.ts", status: "passed", assertionResults: [{ status: "passed", fullName: "b" }] },
      ],
      ...{ numPassedTests: 1, numFailedTests: 0, numPendingTests: 2, numTodoTests: 0 },
    };
    expect(judgeTests({ status: 1, stopped: false }, report)).toEqual({
      status: "failed",
      facts: { files: 2, passed: 1, failed: 1, skipped: 2 },
      tables: [{ head: ["file", "failed"], rows: [["test/ops/a.test.ts", "no such module"]] }],
    });
  });

  it("writes a table of the stages, then each with its own, and the last lines of what did not pass", () => {
    const stages = [
      {
        ...{ name: "tests", status: "failed", seconds: 12.3, limit: 60, facts: { failed: 1 }, tail: "AssertionError" },
      },
      {
        ...{ name: "kernels", status: "passed", seconds: 4, limit: 60, facts: {}, tail: "not shown" },
        tables: [{ title: "every kernel", head: ["kernel", "GPU ms"], rows: [["add", "0.02"]] }],
      },
    ];
    expect(markdown({ emulated: false, facts: { card: "NVIDIA H200" }, stages })).toBe(`# GPU report

|  |  |
| --- | --- |
| card | NVIDIA H200 |

| stage | result | time |
| --- | --- | --- |
| tests | failed | 12 s of 60 |
| kernels | passed | 4 s of 60 |

## tests: failed

failed: 1

\`\`\`text
AssertionError
\`\`\`

## kernels: passed

### every kernel

| kernel | GPU ms |
| --- | --- |
| add | 0.02 |
`);
  });
});
