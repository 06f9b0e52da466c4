import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Translates the library's sources into `folder`/dist, as a package whose addon and dependencies are those here. */
export function compileLibrary(folder: string): void {
  for (const name of ["build", "node_modules"]) symlinkSync(join(root, name), join(folder, name));
  writeFileSync(join(folder, "package.json"), readFileSync(join(root, "package.json")));
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const options = ["--outDir", join(folder, "dist"), "--declaration", "false", "--noCheck"];
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", root, ...options], { encoding: "utf8" });
  if (status !== 0) throw new Error(stdout);
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly error: string;
}

/** Runs a program that imports from "./dist/index.js" in `folder`; `onOutput` may act on what it has written so far. */
export function runProgram(
  folder: string,
  program: string,
  onOutput: (out: string, child: ChildProcess) => void = () => {},
): Promise<Exit> {
  writeFileSync(join(folder, "program.mjs"), program);
  const child = spawn(process.execPath, [join(folder, "program.mjs")], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let error = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
    onOutput(out, child);
  });
  child.stderr.on("data", (chunk) => {
    error += chunk;
  });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, out, error })));
}
