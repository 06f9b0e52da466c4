import { native } from "../dist/native.js";
import { kernels } from "./kernel-cases.mjs";

/** Names of a kernel's arguments with their C++ types, in order. @param {string} signature */
function parametersOf(signature) {
  return signature
    .slice(1, -1)
    .split(", ")
    .map((parameter) => {
      const space = parameter.lastIndexOf(" ");
      return { type: parameter.slice(0, space), name: parameter.slice(space + 1) };
    });
}

/**
 * The kernel as a function without arguments. What `args` leaves out is off: no buffer, no BatchNorm, false.
 * @param {string} kernel @param {Record<string, unknown>} args
 */
export function bind(kernel, args) {
  const run = /** @type {Record<string, (...values: unknown[]) => void>} */ (/** @type {unknown} */ (kernels()))[
    kernel
  ];
  const parameters = parametersOf(native.signatures[kernel] ?? native.cudaSignatures?.[kernel]);
  for (const name of Object.keys(args))
    if (!parameters.some((parameter) => parameter.name === name))
      throw new Error(`expected arguments ${parameters.map((parameter) => parameter.name).join(", ")}, got ${name}`);
  const values = parameters.map(({ name, type }) => {
    if (name in args) return args[name];
    if (type === "bool") return false;
    if (/^(In|Out|BatchNorm)/.test(type)) return null;
    throw new Error(`expected a value for ${name}, got none`);
  });
  return () => run(...values);
}
