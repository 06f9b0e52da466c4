#!/usr/bin/env node
// Writes docs/ops.md from the signatures and docstrings of what src/ops exports; `--check` only says whether it is stale.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const page = join(root, "docs", "ops.md");
const index = join(root, "src", "ops", "index.ts");

const introduction = `# Ops

Written by \`npm run docs:ops\` from the sources in \`src/ops\`; do not edit.

An op takes tensors and gives a tensor that remembers how it was made, so that \`backward\` can find the gradients.
Activations are \`[c, h, w, n]\` (channels, height, width, batch innermost), weights \`[o, i, kh, kw]\` or \`[o, i]\`. The
floating-point inputs of a call share one number type: f32, or f64 for checks. Activations may also be bf16 (\`cast\`)
between f32 parameters; ops that take none refuse them. Inputs that do not fit are an
\`EastingError\` with the code [\`EASTING_INVALID\`](errors.md#easting_invalid).`;

const configuration = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config;
const { options } = ts.parseJsonConfigFileContent(configuration, ts.sys, root);
const program = ts.createProgram([index], { ...options, noEmit: true });
const checker = program.getTypeChecker();

/** What src/ops exports, by name, in the order of its index. */
const exported = new Map(
  checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(index))).map((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    return [target.name, target];
  }),
);

/** A docstring without the line breaks of its source. */
function description(symbol) {
  return ts
    .displayPartsToString(symbol.getDocumentationComment(checker))
    .replace(/(\S)\n(?=\S)/g, "$1 ")
    .trim();
}

function typeOf(declaration) {
  return declaration.type?.getText() ?? checker.typeToString(checker.getTypeAtLocation(declaration));
}

function parameter(declaration) {
  const standard = declaration.initializer?.getText();
  const shown = standard === undefined || standard === "{}" ? "" : ` = ${standard}`;
  const optional = declaration.questionToken || standard === "{}" ? "?" : "";
  return `${declaration.name.getText()}${optional}: ${typeOf(declaration)}${shown}`;
}

/** The exported interfaces that the parameters name, each as a table of its members. */
function tables({ parameters }) {
  return parameters.flatMap(({ type }) => {
    const shape = type && ts.isTypeReferenceNode(type) && exported.get(type.typeName.getText());
    if (!shape?.declarations?.some(ts.isInterfaceDeclaration)) return [];
    const rows = checker.getDeclaredTypeOfSymbol(shape).getProperties();
    const cells = rows.map((member) => [
      `\`${member.name}\`${member.flags & ts.SymbolFlags.Optional ? "" : " (required)"}`,
      `\`${typeOf(member.valueDeclaration).replaceAll("|", "\\|")}\``,
      description(member),
    ]);
    return [
      [`| ${shape.name} | type | |`, "|---|---|---|", ...cells.map((row) => `| ${row.join(" | ")} |`)].join("\n"),
    ];
  });
}

function section(symbol, declaration) {
  const text = description(symbol);
  if (!text) throw new Error(`src/ops: expected a docstring of ${symbol.name}, found none`);
  const signature = `${symbol.name}(${declaration.parameters.map(parameter).join(", ")}): ${typeOf(declaration)}`;
  return [`## ${symbol.name}`, `\`\`\`ts\n${signature}\n\`\`\``, text, ...tables(declaration)].join("\n\n");
}

const sections = [...exported.values()].flatMap((symbol) => {
  const declaration = symbol.declarations?.find(ts.isFunctionDeclaration);
  return declaration ? [section(symbol, declaration)] : [];
});
const text = `${[introduction, ...sections].join("\n\n")}\n`;

if (!process.argv.includes("--check")) writeFileSync(page, text);
else if (!existsSync(page) || readFileSync(page, "utf8") !== text) {
  process.stderr.write("docs/ops.md: expected the docstrings of src/ops, found others; run `npm run docs:ops`\n");
  process.exit(1);
}
