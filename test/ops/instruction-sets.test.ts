import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { native } from "../../src/native.js";

// The addon picks its kernels when it is loaded, so each instruction set gets a process of its own, which runs the case
// table and the convolution, BatchNorm and bf16 suites, which hold f32 to f64 and bf16 to f32.
const root = fileURLToPath(new URL("../..", import.meta.url));
const suites = ["cases", "sparse-conv", "batch-norm", "bfloat16"].map((name) => `test/ops/${name}.test.ts`);
const widths = ["baseline", "avx2", "avx512"];
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly { readonly assertionResults: readonly { fullName: string; status: string }[] }[];
}

/** Names of the failed tests and the number of those that passed. */
async function run(isa: string): Promise<{ failed: string[]; passed: number }> {
  const folder = await mkdtemp(join(tmpdir(), "easting-isa-"));
  const outputFile = join(folder, "report.json");
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST"));
  const options = { cwd: root, env: { ...Object.fromEntries(environment), EASTING_ISA: isa } };
  const list = [vitest, "run", ...suites, "--reporter=json", `--outputFile=${outputFile}`];
  try {
    // A failed suite ends with status 1; its report says more.
    const { stderr } = await promisify(execFile)(process.execPath, list, options).catch((error) => error);
    const report = JSON.parse(await readFile(outputFile, "utf8").catch(() => expect.fail(stderr))) as Report;
    const failed = report.testResults.flatMap(({ assertionResults }) =>
      assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => fullName),
    );
    return { failed, passed: report.numPassedTests };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("f32 kernels built for", () => {
  const widest = widths.indexOf(native.devices().isa);

  for (const isa of ["baseline", "avx2"])
    it(`${isa} agree with f64`, async ({ skip }) => {
      skip(widths.indexOf(isa) > widest, `this processor has ${widths[widest]} only`);
      const { failed, passed } = await run(isa);
      expect(failed).toEqual([]);
      expect(passed).toBeGreaterThan(200);
    });
});
