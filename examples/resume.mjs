// A run that is stopped and resumed ends with the very bytes of one that was never stopped.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDataset, train } from "easting";

const folder = await mkdtemp(join(tmpdir(), "easting-resume-"));
const data = await openDataset("digits");
const settings = { model: "resnet20", method: "rigl", sparsity: 98, epochs: 10, seed: 7 };

async function run(name, options = {}) {
  const out = join(folder, name);
  for await (const event of train(settings, data, { out, ...options })) {
    if (event.type === "start") console.log(`${name}: from step ${event.step} of ${event.steps}`);
    if (event.type === "interrupted") console.log(`${name}: stopped after step ${event.step}`);
    if (event.type === "end") console.log(`${name}: test accuracy ${(100 * event.testAccuracy).toFixed(2)} %`);
  }
}

async function digest(name) {
  const checkpoints = join(folder, name, "checkpoints");
  const newest = (await readdir(checkpoints))
    .filter((file) => file.startsWith("step-"))
    .sort()
    .at(-1);
  return createHash("sha256")
    .update(await readFile(join(checkpoints, newest)))
    .digest("hex");
}

try {
  await run("straight");
  await run("stopped", { stopAfter: 47 }); // in the middle of an epoch; Ctrl-C does the same through `signal`
  await run("stopped", { resume: true });
  const [straight, stopped] = [await digest("straight"), await digest("stopped")];
  console.log(`last checkpoints:\n  ${straight}\n  ${stopped}`);
  if (straight !== stopped) throw new Error("expected the same bytes from both runs");
} finally {
  await data.close();
  await rm(folder, { recursive: true });
}
