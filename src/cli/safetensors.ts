import { openNetwork } from "../east/index.js";
import { exportWeights } from "../pytorch/index.js";
import { nnzOf, prunable } from "../sparse/index.js";
import { fileError, replaceFile, resolveCheckpoint } from "../train/index.js";
import { warn } from "./failure.js";
import { bytes, count, facts } from "./format.js";

/** `easting compile --target safetensors`: the network as it was trained, for PyTorch. */
export async function writeSafetensors(from: string, to: string, json: boolean): Promise<void> {
  const { path, content, warnings } = await resolveCheckpoint(from);
  for (const { message } of warnings) warn(message);
  const { model, images, config, fit } = openNetwork(content);
  const metadata = new Map([
    ["model", config.model],
    ["images", JSON.stringify(images)],
  ]);
  const file = exportWeights(model, metadata);
  const weights = nnzOf(prunable(model.parameters()));
  fit.optimizer.dispose();
  model.dispose();
  await replaceFile(to, file).catch((error) => {
    throw fileError("EASTING_OUTPUT_WRITE", "write", to, error);
  });
  const outcome = { type: "compiled", checkpoint: path, target: "safetensors", file: to, bytes: file.length, weights };
  if (json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  else
    process.stdout.write(
      facts([
        ["checkpoint", path],
        ["written", `${to}, ${bytes(file.length)}`],
        ["holds", `${count(weights)} weights in dense tensors, and their masks`],
      ]),
    );
}
