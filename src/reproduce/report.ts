import { difference, type Row } from "./rows.js";

/** A table with its footnotes, ready to print. */
export interface Report {
  readonly title: string;
  readonly command: string;
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The same with bare numbers, for machines. */
  readonly csv: readonly (readonly (string | number | null)[])[];
  readonly notes: readonly string[];
}

const none = "–";
const fixed = (value: number | null) => (value === null ? none : value.toFixed(2));
/** 86.99 ± 0.32; ± – where there is one run only. */
const plusMinus = ({ mean, std }: { readonly mean: number; readonly std: number | null }) =>
  `${fixed(mean)} ± ${fixed(std)}`;
const signed = (value: number | null) =>
  value === null ? none : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

/** Accuracies beside the paper's; each row has its runs and the numbers of the notes that say what differs. */
export function accuracyReport(
  title: string,
  command: string,
  rows: readonly Row[],
  remarks: readonly string[] = [],
): Report {
  const notes = [...new Set(rows.flatMap(({ differs }) => differs))];
  return {
    title,
    command,
    heading: ["network", "data", "sparsity", "method", "paper, %", "ours, %", "n", "difference", "runs", "differs"],
    rows: rows.map((row) => [
      row.model,
      row.data,
      `${row.sparsity} %`,
      row.label,
      row.paper ? (row.paper.std === null ? fixed(row.paper.mean) : plusMinus(row.paper)) : none,
      row.ours ? plusMinus(row.ours) : none,
      row.runs.length < row.wanted ? `${row.runs.length} of ${row.wanted}` : String(row.wanted),
      signed(difference(row)),
      row.runs.join(" ") || none,
      row.differs.map((text) => notes.indexOf(text) + 1).join(", ") || none,
    ]),
    csv: [
      [
        "network",
        "data",
        "sparsity",
        "method",
        "paper",
        "paper_std",
        "ours",
        "std",
        "n",
        "difference",
        "runs",
        "differs",
      ],
      ...rows.map((row) => [
        row.model,
        row.data,
        row.sparsity,
        row.method,
        row.paper?.mean ?? null,
        row.paper?.std ?? null,
        row.ours?.mean ?? null,
        row.ours?.std ?? null,
        row.runs.length,
        difference(row),
        row.runs.join(" "),
        row.differs.join("; "),
      ]),
    ],
    notes: [...notes, ...remarks],
  };
}

export function markdown({ title, command, heading, rows, notes }: Report): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  const body = [line(heading), line(heading.map(() => "---")), ...rows.map(line)].join("");
  const list = notes.map((note, i) => `${i + 1}. ${note}\n`).join("");
  return `# ${title}\n\n\`\`\`sh\n${command}\n\`\`\`\n\n${body}${list && `\n${list}`}`;
}

/** RFC 4180; empty where there is no number. */
export function csv({ csv }: Report): string {
  const cell = (value: string | number | null) => {
    const text = typeof value === "number" ? String(Number(value.toPrecision(12))) : (value ?? "");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return csv.map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/** A tabular for the booktabs package; run ids and notes are too wide for it and stand in comments. */
export function latex({ title, command, heading, rows, notes }: Report): string {
  const wide = new Set(["runs", "differs"]);
  const kept = (row: readonly string[]) => row.filter((_, i) => !wide.has(heading[i]));
  const line = (row: readonly string[]) => `${kept(row).map(escaped).join(" & ")} \\\\`;
  const receipt = (row: readonly string[]) => row.filter((_, i) => wide.has(heading[i])).join("; notes ");
  return [
    `% ${title}`,
    `% ${command}`,
    ...notes.map((note, i) => `% ${i + 1}. ${note}`),
    `\\begin{tabular}{${kept(heading)
      .map((name) => (leftAligned.has(name) ? "l" : "r"))
      .join("")}}`,
    "\\toprule",
    line(heading),
    "\\midrule",
    ...rows.map((row) => `${line(row)}${receipt(row) && ` % ${receipt(row)}`}`),
    "\\bottomrule",
    "\\end{tabular}",
    "",
  ].join("\n");
}

const leftAligned = new Set(["network", "data", "method"]);
const symbols: Readonly<Record<string, string>> = { "±": "$\\pm$", "−": "$-$", "–": "--", "×": "$\\times$" };
const escaped = (text: string) => text.replace(/[%&_#$]/g, "\\$&").replace(/[±−–×]/g, (symbol) => symbols[symbol]);

/** The report in every format, by the ending of its file. */
export const printed = (report: Report): ReadonlyMap<string, string> =>
  new Map([
    ["md", markdown(report)],
    ["csv", csv(report)],
    ["tex", latex(report)],
  ]);
