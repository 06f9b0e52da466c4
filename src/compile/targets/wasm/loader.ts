// Runs what the wasm target writes, in browsers and in Node; imports nothing, so that it can be copied next to a page.

/** The part of the standard's interface that is used here; TypeScript knows it among the DOM's types only. */
declare const WebAssembly: {
  compile(bytes: ArrayBuffer | ArrayBufferView): Promise<object>;
  instantiate(module: object): Promise<{ readonly exports: unknown }>;
  readonly Module: { customSections(module: object, name: string): ArrayBuffer[] };
};

/** What a module says of itself in its custom section "easting". */
export interface WasmDescription {
  readonly numbers: "f32" | "int8";
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes: readonly string[];
  /** What a logit of 1 stands for, in int8. */
  readonly logitScale?: number;
  /** Addresses: of the program, of each channel of the image, of the logits. */
  readonly program: number;
  readonly image: readonly number[];
  readonly logits: number;
}

/** What the module has: `load` decodes the program, once; `run` goes from the image in memory to the logits. */
interface Runtime {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly load: (program: number) => void;
  readonly run: (program: number) => void;
}

export interface WasmResult {
  readonly label: string;
  readonly index: number;
  /** Softmax of the logits, class by class. */
  readonly probabilities: Float64Array;
  /** As they came: floats, or whole numbers in int8. */
  readonly logits: Float32Array | Int32Array;
}

export interface WasmNetwork {
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number];
  readonly classes: readonly string[];
  /** The module's numbers, and what a logit of 1 stands for. */
  readonly numbers: "f32" | "int8";
  readonly logitScale: number;
  /**
   * Classifies one image of the network's size: bytes from 0 to 255 as [height][width][channels], or with four channels
   * (a canvas' RGBA) where the network has one or three; or, in f32, floats [channels][height][width], normalised.
   */
  run(pixels: Uint8Array | Uint8ClampedArray | Float32Array): WasmResult;
}

/** Makes a network of a module's bytes, or of a response that brings them (`loadWasm(fetch("model.wasm"))`). */
export async function loadWasm(
  source: ArrayBuffer | ArrayBufferView | Response | Promise<Response>,
): Promise<WasmNetwork> {
  const module = await WebAssembly.compile(await bytesOf(await source));
  const [section] = WebAssembly.Module.customSections(module, "easting");
  if (!section) throw new TypeError("loadWasm: expected a module that easting compile has written, got another one");
  const description: WasmDescription = JSON.parse(new TextDecoder().decode(section));
  const { exports } = await WebAssembly.instantiate(module);
  const { memory, load, run } = exports as Runtime;
  const { shape, classes, numbers, logitScale = 1, program, logits: at } = description;
  load(program);
  const logits =
    numbers === "f32"
      ? new Float32Array(memory.buffer, at, classes.length)
      : new Int32Array(memory.buffer, at, classes.length);
  const put = writer(description, memory.buffer);
  return {
    shape,
    classes,
    numbers,
    logitScale,
    run(pixels) {
      put(pixels);
      run(program);
      const values = Float64Array.from(logits);
      const index = values.indexOf(Math.max(...values));
      const probabilities = softmax(values.map((logit) => logitScale * logit));
      return { label: classes[index], index, probabilities, logits: logits.slice() };
    },
  };
}

async function bytesOf(source: ArrayBuffer | ArrayBufferView | Response): Promise<ArrayBuffer | ArrayBufferView> {
  if (!("arrayBuffer" in source)) return source;
  if (!source.ok) throw new Error(`loadWasm: expected a module, got status ${source.status} from ${source.url}`);
  return source.arrayBuffer();
}

/** Puts an image where the module reads it. */
function writer({ numbers, shape, mean, std, image }: WasmDescription, buffer: ArrayBuffer) {
  const [channels, height, width] = shape;
  const area = height * width;
  const planes = image.map((at) =>
    numbers === "f32" ? new Float32Array(buffer, at, area) : new Uint8Array(buffer, at, area),
  );
  return (pixels: Uint8Array | Uint8ClampedArray | Float32Array) => {
    const { length } = pixels;
    if (pixels instanceof Float32Array) {
      if (numbers !== "f32" || length !== channels * area)
        throw new RangeError(`run: expected ${wanted(numbers, shape)}, got ${length} floats`);
      for (const [c, plane] of planes.entries()) plane.set(pixels.subarray(c * area, (c + 1) * area));
      return;
    }
    const stride = length / area;
    const gray = channels === 1 && stride === 4;
    if (stride !== channels && !gray && !(channels === 3 && stride === 4))
      throw new RangeError(`run: expected ${wanted(numbers, shape)}, got ${length} bytes`);
    for (const [c, plane] of planes.entries())
      for (let i = 0; i < area; i++) {
        const at = stride * i + c;
        // Luma of ITU-R BT.601 where the network has one channel.
        const pixel = gray
          ? Math.round(0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2])
          : pixels[at];
        plane[i] = numbers === "f32" ? (pixel / 255 - mean[c]) / std[c] : pixel;
      }
  };
}

const wanted = (numbers: string, [channels, height, width]: readonly number[]) =>
  `${height} × ${width} × ${channels} bytes${numbers === "f32" ? " or floats" : ""}`;

function softmax(values: Float64Array): Float64Array {
  const largest = values.reduce((a, b) => Math.max(a, b));
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
