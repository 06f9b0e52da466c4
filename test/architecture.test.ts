import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../src/", import.meta.url));

/** Rooms from the top of the house down: a folder may import rooms on lower lines only. */
const lines: readonly (readonly string[])[] = [
  ["index"],
  ["cli"],
  ["reproduce"],
  ["experiments", "dashboard", "demo", "pytorch"],
  ["east", "inference", "plot"],
  ["sparse", "compile"],
  ["train"],
  ["models", "optim", "data"],
  ["nn"],
  ["ops"],
  ["tensor"],
  ["native"],
  ["errors", "protobuf"],
];
/** Facts about the package itself, for whoever prints or records them. */
const anyone = new Set(["version"]);
const longFiles = new Set(["data/digits-data.ts"]);

const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.split(sep).join("/"))
  .sort();
const text = (file: string) => readFileSync(join(src, file), "utf8");
const room = (file: string) => file.split("/")[0].replace(/\.ts$/, "");
const line = (file: string) => lines.findIndex((rooms) => rooms.includes(room(file)));

/** What a file imports, types included: files of `src`, and names of packages. */
function imports(file: string): { files: string[]; packages: string[] } {
  const found = { files: [] as string[], packages: [] as string[] };
  const code = text(file).replace(/\/\*[\s\S]*?\*\//g, "");
  for (const [, from, called] of code.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";|\bimport\("([^"]+)"\)/gm)) {
    const name = from ?? called;
    if (!name.startsWith(".")) found.packages.push(name);
    else
      found.files.push(
        relative(src, join(src, dirname(file), name))
          .split(sep)
          .join("/")
          .replace(/\.js$/, ".ts"),
      );
  }
  return found;
}
const graph = new Map(files.map((file) => [file, imports(file).files]));

describe("the house", () => {
  it("has a line for every room", () => {
    expect(files.filter((file) => line(file) < 0 && !anyone.has(room(file)))).toEqual([]);
  });

  it("imports only files that are there", () => {
    const missing = [...graph].flatMap(([file, targets]) =>
      targets.filter((to) => !graph.has(to)).map((to) => [file, to]),
    );
    expect(missing).toEqual([]);
  });

  it("imports downwards only, never beside or above", () => {
    const wrong = [...graph].flatMap(([file, targets]) =>
      targets
        .filter((to) => room(to) !== room(file) && !anyone.has(room(to)) && line(to) <= line(file))
        .map((to) => `${file} imports ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  it("lets everyone read the package's own facts, which import nothing", () => {
    expect(files.filter((file) => anyone.has(room(file)) && imports(file).files.length > 0)).toEqual([]);
  });

  it("has no circles, file by file", () => {
    const state = new Map<string, "open" | "done">();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]) => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
        return;
      }
      state.set(file, "open");
      for (const to of graph.get(file) ?? []) visit(to, [...path, file]);
      state.set(file, "done");
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });

  it("loads the addon in one place", () => {
    expect(files.filter((file) => text(file).includes("node-gyp-build"))).toEqual(["native.ts"]);
  });

  it("keeps every file within 300 lines", () => {
    const long = files
      .filter((file) => !longFiles.has(file))
      .map((file) => [file, text(file).split("\n").length - 1] as const)
      .filter(([, count]) => count > 300);
    expect(long).toEqual([]);
  });

  it("exports by name only", () => {
    expect(files.filter((file) => /^export default/m.test(text(file)))).toEqual([]);
  });
});
