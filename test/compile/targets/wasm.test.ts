import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import {
  compile,
  encodeModel,
  type Graph,
  interpret,
  interpretInt8,
  normalized,
  quantize,
} from "../../../src/compile/index.js";
import { testImages } from "../../../src/compile/targets/self-test.js";
import { wasm } from "../../../src/compile/targets/wasm/index.js";
import { loadWasm, type WasmNetwork } from "../../../src/compile/targets/wasm/loader.js";
import { wasmRuntime } from "../../../src/compile/targets/wasm/runtime.js";
import { launchChromium } from "../../demo/chromium.js";
import { expectClose } from "../../numbers.js";
import { classNames, imageInput, randomNetwork } from "../networks.js";
import { available, interleaved } from "./c-compiler.js";

let graph: Graph;
let module: Uint8Array;
let network: WasmNetwork;

beforeAll(async () => {
  const model = randomNetwork({ model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 });
  ({ graph } = compile(model, imageInput(16), classNames(10)));
  model.dispose();
  module = wasm.emit(graph, { values: "f32" });
  network = await loadWasm(module);
});

const pixels = () => testImages(graph.image)[0];

describe("a WebAssembly module", () => {
  it("takes bytes, a canvas' RGBA and normalised floats alike", () => {
    const bytes = interleaved(pixels(), 3);
    const rgba = Uint8ClampedArray.from({ length: 4 * 16 * 16 }, (_, i) =>
      i % 4 === 3 ? 255 : bytes[3 * Math.floor(i / 4) + (i % 4)],
    );
    const { logits } = network.run(normalized(graph, pixels()));
    expect(network.run(bytes).logits).toEqual(logits);
    expect(network.run(rgba).logits).toEqual(logits);
  });

  it("names the class with the largest logit, and gives probabilities", () => {
    const { label, index, probabilities } = network.run(interleaved(pixels(), 3));
    const wanted = interpret(graph, normalized(graph, pixels()));
    expect(index).toBe(wanted.indexOf(Math.max(...wanted)));
    expect(label).toBe(`class ${index}`);
    const powers = wanted.map(Math.exp);
    const sum = powers.reduce((a, b) => a + b);
    expectClose(
      probabilities,
      powers.map((power) => power / sum),
      { relative: 1e-5 },
    );
  });

  it("comes by a response too, and says when there is none", async () => {
    const ok = await loadWasm(Promise.resolve(new Response(Buffer.from(module))));
    expect(ok.run(interleaved(pixels(), 3)).logits).toEqual(network.run(interleaved(pixels(), 3)).logits);
    await expect(loadWasm(new Response(null, { status: 404 }))).rejects.toThrow("expected a module, got status 404");
  });

  it("refuses images of another size, and modules of others", async () => {
    expect(() => network.run(new Uint8Array(100))).toThrow("run: expected 16 × 16 × 3 bytes or floats, got 100 bytes");
    expect(() => network.run(new Float32Array(5))).toThrow("run: expected 16 × 16 × 3 bytes or floats, got 5 floats");
    const int8 = await loadWasm(wasm.emit(graph, { values: "f32", int8: quantize(graph, [pixels()]) }));
    expect(() => int8.run(new Float32Array(768))).toThrow("run: expected 16 × 16 × 3 bytes, got 768 floats");
    await expect(loadWasm(Buffer.from(wasmRuntime.f32, "base64"))).rejects.toThrow(
      "loadWasm: expected a module that easting compile has written, got another one",
    );
  });

  it("takes little more than the model file and its runtime", () => {
    const int8 = quantize(graph, [pixels()]);
    const runtime = Buffer.from(wasmRuntime.int8, "base64").length;
    expect(wasm.emit(graph, { values: "f32", int8 }).length).toBeLessThan(
      1.1 * encodeModel(int8).length + runtime + 600,
    );
  });

  it("runs in a browser, in a page opened from the disk", async (test) => {
    const int8 = quantize(graph, [pixels()]);
    const browser = await launchChromium(test);
    const folder = mkdtempSync(join(tmpdir(), "easting-"));
    try {
      const loader = readFileSync(new URL("../../../src/compile/targets/wasm/loader.ts", import.meta.url), "utf8");
      const { outputText } = ts.transpileModule(loader, { compilerOptions: { target: ts.ScriptTarget.ES2022 } });
      const script = outputText.replace(/^export /gm, "");
      const base64 = Buffer.from(wasm.emit(graph, { values: "f32", int8 })).toString("base64");
      const input = JSON.stringify(Array.from(interleaved(pixels(), 3)));
      writeFileSync(
        join(folder, "page.html"),
        `<!doctype html><script type="module">${script}
        const bytes = Uint8Array.from(atob("${base64}"), (letter) => letter.charCodeAt(0));
        const network = await loadWasm(bytes);
        window.logits = Array.from(network.run(Uint8Array.from(${input})).logits);</script>`,
      );
      const page = await browser.newPage();
      await page.goto(pathToFileURL(join(folder, "page.html")).href);
      const logits = await (await page.waitForFunction("window.logits")).jsonValue();
      expect(logits).toEqual(Array.from(interpretInt8(int8, pixels())));
    } finally {
      await browser.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("keeps its runtime, both kinds of numbers, below 7 kB", () => {
    for (const runtime of Object.values(wasmRuntime)) expect(Buffer.from(runtime, "base64").length).toBeLessThan(7000);
  });

  const version = spawnSync("clang", ["--version"], { encoding: "utf8" }).stdout ?? "";
  it.skipIf(!available("wasm-ld") || !version.includes("version 14."))("has the runtime that its sources make", () => {
    const script = fileURLToPath(new URL("../../../scripts/build-wasm-runtime.mjs", import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
