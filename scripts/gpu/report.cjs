"use strict";

const cell = (value) => String(value).replaceAll("|", "\\|").replaceAll("\n", " ");

function table({ head, rows }) {
  const line = (cells) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/**
 * report.md from what report.json holds.
 * @param {{ emulated: boolean, facts: Record<string, string>, stages: { name: string, status: string, seconds: number,
 *   limit: number, facts: Record<string, unknown>, tables?: { title?: string, head: string[], rows: unknown[][] }[],
 *   tail: string }[] }} report
 */
function markdown({ emulated, facts, stages }) {
  const parts = [`# GPU report${emulated ? " (emulated device: no GPU took part)" : ""}`];
  parts.push(table({ head: ["", ""], rows: Object.entries(facts) }));
  const rows = stages.map(({ name, status, seconds, limit }) => [
    name,
    status,
    `${seconds.toFixed(0)} s of ${limit.toFixed(0)}`,
  ]);
  parts.push(table({ head: ["stage", "result", "time"], rows }));
  for (const { name, status, facts: known, tables = [], tail } of stages) {
    parts.push(`## ${name}: ${status}`);
    const said = Object.entries(known).map(([key, value]) => `${key}: ${cell(value)}`);
    if (said.length > 0) parts.push(said.join("; "));
    for (const { title, ...more } of tables)
      if (more.rows.length > 0) parts.push(...(title ? [`### ${title}`] : []), table(more));
    if (status !== "passed" && tail) parts.push(`\`\`\`text\n${tail}\n\`\`\``);
  }
  return `${parts.join("\n\n")}\n`;
}

module.exports = { markdown };
