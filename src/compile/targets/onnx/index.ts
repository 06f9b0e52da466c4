import { expected } from "../../../errors.js";
import { version } from "../../../version.js";
import type { Target } from "../target.js";
import { model } from "./model.js";
import { translate } from "./translate.js";

/**
 * ONNX: the packed channels as ordinary dense operators, so that any runtime computes them without knowing of sparsity.
 * Input `image` [N, c, h, w] of pixels from 0 to 1, output `logits` [N, classes]; the names of the classes, a JSON
 * array, are metadata.
 */
export const onnx: Target = {
  name: "onnx",
  description: "ONNX model of the channels that are left, weights dense or sparse",
  extension: ".onnx",
  int8: false,
  emit: (graph, { values, onnxSparse = false }) => {
    if (values !== "f32") throw expected("--target onnx", "--values f32", values, undefined, "EASTING_USAGE");
    return model({
      version,
      fields: translate(graph, onnxSparse),
      input: { name: "image", shape: ["N", ...graph.image.shape], description: "pixels from 0 to 1" },
      output: { name: "logits", shape: ["N", graph.classes.length], description: "one number per class" },
      metadata: { classes: JSON.stringify(graph.classes) },
    });
  },
};
