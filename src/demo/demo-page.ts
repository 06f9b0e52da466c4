import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { costOf, type Graph } from "../compile/index.js";
import { programOf } from "./program.js";

export interface DemoOptions {
  readonly title: string;
  /** Length of the model file. */
  readonly modelBytes: number;
  /** Pictures to choose from, as data URLs; the first is classified when the page opens. */
  readonly pictures?: readonly { readonly name: string; readonly url: string }[];
}

/** In an order in which each imports only earlier ones. */
const scripts = ["runtime.js", "paths.js", "drawing.js", "picture.js", "page.js"];

/**
 * A page in which a network classifies photos, camera pictures or drawings and shows its connections: one HTML file that
 * needs nothing else and may ask no server for anything (its content security policy forbids it).
 */
export async function demoPage(graph: Graph, { title, modelBytes, pictures = [] }: DemoOptions): Promise<string> {
  const [html, style, ...modules] = await Promise.all(["index.html", "style.css", ...scripts].map(read));
  const [css, script] = [`\n${style}`, `\n${join(modules)}\n`];
  const { weights, macs } = costOf(graph);
  const badge = (value: string, what: string) => `<li><b>${value}</b> ${what}</li>`;
  const values: { readonly [name: string]: string } = {
    title: escapeHtml(title),
    styleHash: hash(css),
    scriptHash: hash(script),
    style: css,
    script,
    badges: [
      badge(`${decimal(modelBytes / 1000)} kB`, "model"),
      badge(weights.toLocaleString("en"), "connections"),
      badge(`${decimal(macs / 1e6)} M`, "multiplications per image"),
    ].join("\n    "),
    program: json(programOf(graph)),
    pictures: json(pictures),
  };
  // Each placeholder with what stands around it to make the template a page of its own.
  const placeholder =
    /\n\/\* \$(style|script) \*\/\n|<!-- \$(badges) -->|"\$(program|pictures)"|\$(title|styleHash|scriptHash)/g;
  return html.replace(placeholder, (_, ...names: string[]) => values[names.find((name) => name in values) as string]);
}

const read = (name: string) => readFile(new URL(`page/${name}`, import.meta.url), "utf8");

/** Modules as one: their imports are of one another, and all names differ. */
const join = (modules: readonly string[]) =>
  modules.map((code) => code.replace(/^import [^;]*;\n/gm, "").replace(/^export /gm, "")).join("\n");

const hash = (text: string) => `sha256-${createHash("sha256").update(text).digest("base64")}`;

/** Three digits, or all before the point. */
const decimal = (value: number) =>
  (value < 100 ? Number(value.toPrecision(3)) : Math.round(value)).toLocaleString("en");

/** Inside a script element nothing may look like a tag. */
const json = (value: unknown) => JSON.stringify(value).replaceAll("<", "\\u003c");

const escapeHtml = (text: string) =>
  text.replace(/[&<>"]/g, (letter) => `&${{ "&": "amp", "<": "lt", ">": "gt", '"': "quot" }[letter]};`);
