import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createProgram } from "../src/cli/program.js";
import { configSchema, methodNames } from "../src/east/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (file: string) => readFileSync(join(root, file), "utf8");
const filesIn = (folder: string, ending: RegExp) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name).replaceAll("\\", "/"))
    .sort();
const pages = [...readdirSync(root).filter((name) => name.endsWith(".md")), ...filesIn("docs", /\.md$/)].sort();

/** The text of a page outside its fenced blocks, and the blocks of one language. */
const prose = (page: string) => read(page).replace(/^```[\s\S]*?^```$/gm, "");
const blocks = (page: string, language: string) =>
  [...read(page).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => match[1]);

/** Anchors of a page's headings, as GitHub makes them. */
const anchors = (page: string) =>
  [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );

describe("the pages", () => {
  it("link only to files and headings that are there", () => {
    const broken = pages.flatMap((page) =>
      [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1])
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const [path, anchor] = link.split("#");
          const target = path === "" ? page : relative(root, join(root, dirname(page), path));
          if (!existsSync(join(root, target))) return true;
          return anchor !== undefined && !anchors(target).includes(anchor);
        })
        .map((link) => `${page}: ${link}`),
    );
    expect(broken).toEqual([]);
  });

  it("show TypeScript that compiles against the public API", () => {
    const examples = new Map(
      pages
        .filter((page) => page !== "docs/ops.md") // signatures alone
        .flatMap((page) => blocks(page, "ts").map((code, i) => [join(root, `${page}.${i + 1}.ts`), code] as const)),
    );
    expect(examples.size).toBeGreaterThan(0);
    const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
    const options: ts.CompilerOptions = {
      ...ts.parseJsonConfigFileContent(config, ts.sys, root).options,
      rootDir: root,
      noEmit: true,
      declaration: false,
      noUnusedLocals: false,
      moduleDetection: ts.ModuleDetectionKind.Force,
      paths: { easting: [join(root, "src", "index.ts")] },
    };
    const host = ts.createCompilerHost(options);
    const { fileExists, readFile } = host;
    host.fileExists = (path) => examples.has(path) || fileExists(path);
    host.readFile = (path) => examples.get(path) ?? readFile(path);
    const program = ts.createProgram([...examples.keys()], options, host);
    const faults = [...examples.keys()].flatMap((path) => {
      const file = program.getSourceFile(path);
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
        ({ messageText }) => `${relative(root, path)}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
      );
    });
    expect(faults).toEqual([]);
  });

  it("show commands and flags that the command line has", () => {
    const commands = new Map(createProgram().commands.map((command) => [command.name(), command]));
    const lines = pages.flatMap((page) => blocks(page, "sh").flatMap((block) => block.split("\n")));
    const calls = lines.flatMap((line) => /^easting (.*)/.exec(line)?.[1] ?? []);
    expect(calls.length).toBeGreaterThan(0);
    const wrong = calls.flatMap((call) => {
      const [name, ...words] = call.replace(/ #.*/, "").trim().split(/\s+/);
      const command = commands.get(name);
      if (!command) return [call];
      const known = [command, ...command.commands].flatMap(({ options }) => options.map(({ long }) => long));
      return words.filter((word) => word.startsWith("--") && !known.includes(word)).map((word) => `${name} ${word}`);
    });
    expect(wrong).toEqual([]);
  });

  it("name npm scripts and programs that are there", () => {
    const { scripts } = JSON.parse(read("package.json"));
    const missing = pages.flatMap((page) => [
      ...[...read(page).matchAll(/npm run (\w[\w:-]*)/g)].map((match) => match[1]).filter((name) => !scripts[name]),
      ...[...read(page).matchAll(/(?:node|bash) ([\w/-]+\.(?:c?m?js|sh))/g)]
        .map((match) => match[1])
        .filter((path) => !path.startsWith("dist/") && !existsSync(join(root, path))),
    ]);
    expect(missing).toEqual([]);
  });
});

describe("the reference", () => {
  it("docs/ops.md says what the docstrings of src/ops say", () => {
    const script = join(root, "scripts", "write-ops-doc.mjs");
    const { stderr, status } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  });

  it("docs/errors.md has a heading for every error code, and none besides", () => {
    const sources = [...filesIn("src", /\.ts$/), ...filesIn("native", /\.(cc|h|cu|cuh)$/)];
    const codes = sources.flatMap((file) =>
      [...read(file).matchAll(/(?<!getenv\()"(EASTING_[A-Z_]+)"/g)].map((match) => match[1]),
    );
    const headings = [...read("docs/errors.md").matchAll(/^#+ (EASTING_\w+)$/gm)].map((match) => match[1]);
    expect(headings).toEqual([...new Set(codes)].sort());
  });

  it("docs/training.md lists every setting with its default", () => {
    const settings = Object.entries(z.toJSONSchema(configSchema, { io: "input" }).properties ?? {});
    const rows = settings.map(([key, setting]) => {
      const { default: preset, description } = setting as { default?: unknown; description?: string };
      return `| \`${key}\` | ${preset === undefined ? "" : `\`${preset}\``} | ${description} |`;
    });
    const table = read("docs/training.md").match(/^\| `\w+` \| (`[^`]*`)? \| .*$/gm);
    expect(table).toEqual(rows);
  });

  it("docs/methods.md has a chapter for every method", () => {
    const chapters = [...read("docs/methods.md").matchAll(/^## `([\w+-]+)`$/gm)].map((match) => match[1]);
    expect(chapters.toSorted()).toEqual(methodNames.toSorted());
  });
});
