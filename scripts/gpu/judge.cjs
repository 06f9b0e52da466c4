"use strict";
// What the output of a stage says of it: { status, facts, tables }.

const statusOf = ({ status, stopped }) => (stopped ? "stopped" : status === 0 ? "passed" : "failed");

function judgeBuild(run) {
  const warnings = run.output.split("\n").filter((line) => /\bwarning\b ?[:#]/i.test(line));
  return { status: statusOf(run), facts: { warnings: warnings.length, ...(warnings[0] && { first: warnings[0] }) } };
}

/** @param {object | null} report Vitest's JSON */
function judgeTests(run, report) {
  if (!report) {
    const files = (mark) => run.output.match(new RegExp(`^ *${mark} +test/\\S+`, "gm"))?.length ?? 0;
    const facts = { "files passed so far": files("✓"), "files with failures": files("❯") };
    return { status: run.stopped ? "stopped" : "failed", facts };
  }
  const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  const failed = report.testResults.flatMap((file) =>
    file.assertionResults.filter((test) => test.status === "failed").map((test) => [place(file.name), test.fullName]),
  );
  const facts = {
    files: report.testResults.length,
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  const rows = [...broken.map((file) => [place(file.name), String(file.message).split("\n")[0]]), ...failed];
  const status = statusOf(run) === "passed" && facts.passed === 0 ? "failed" : statusOf(run);
  return { status, facts, tables: [{ head: ["file", "failed"], rows: rows.slice(0, 60) }] };
}
const place = (name) => name.slice(name.lastIndexOf("/test/") + 1);

/** A tool that could not look at all has not passed. */
function judgeSanitizer(run) {
  const summaries = [...run.output.matchAll(/(?:ERROR SUMMARY: (\d+) error)|(?:RACECHECK SUMMARY: (\d+) hazard)/g)];
  const found = summaries.reduce((sum, [, errors, hazards]) => sum + Number(errors ?? hazards), 0);
  const cannot = /Device not supported|not supported on this|Internal Sanitizer Error|unable to (?:find|load)/i.exec(
    run.output,
  );
  const through = run.output.includes("every kernel ran");
  if (run.stopped) return { status: "stopped", facts: {} };
  if (summaries.length === 0 || cannot)
    return { status: "not run", facts: { reason: cannot?.[0] ?? "no summary of the tool" } };
  return {
    status: run.status === 0 && found === 0 && through ? "passed" : "failed",
    facts: { findings: found, "program ended well": through },
  };
}

function parsed(text) {
  try {
    return JSON.parse(text.trim().split("\n").at(-1));
  } catch {
    return null;
  }
}

const round = (value) => (typeof value !== "number" ? "" : value >= 100 ? value.toFixed(0) : value.toPrecision(3));

function judgeKernels(run) {
  const json = parsed(run.stdout);
  if (!json) return { status: run.stopped ? "stopped" : "failed", facts: {} };
  const rows = json.rows.map((row) => [
    row.kernel,
    row.size,
    ...[row.ms, row.callMs, row.gbPerSecond, row.percentOfCopy, row.gflops].map(round),
  ]);
  const head = ["kernel", "size", "GPU ms", "call ms", "GB/s", "% of copy", "GFLOP/s"];
  const facts = { device: json.device, "copy GB/s": round(json.copyGbPerSecond) };
  const more = json.convolutions ? [{ title: "fused, cuSPARSE, dense", ...crossovers(json.convolutions) }] : [];
  return { status: statusOf(run), facts, tables: [...more, { title: "every kernel", head, rows }], json };
}

/** Forward and backward of each 3×3 layer; from which density on another way than the fused one is faster. */
function crossovers(layers) {
  const above = (density) => (density === null ? "never" : `above ${round(density)}`);
  const rows = layers.flatMap(({ layer, times, crossover }) =>
    times.map((row) => [
      layer,
      row.density,
      ...[row.fused, row.cusparse, row.dense].map(round),
      ...["cusparse", "dense"].map((way) => (row[way] === null ? "" : above(crossover[way]))),
    ]),
  );
  return {
    head: ["layer", "density", "fused ms", "cuSPARSE ms", "dense ms", "cuSPARSE faster", "dense faster"],
    rows,
  };
}

function judgePeers(run) {
  const json = parsed(run.stdout);
  if (!json) return { status: run.stopped ? "stopped" : "failed", facts: {} };
  const columns = {
    "easting ms": "eastingMs",
    "TF32 ms": "torchTf32Ms",
    "AMP ms": "torchAmpMs",
    "AMP graph ms": "torchGraphMs",
    "× TF32": "ratioTf32",
    "× AMP": "ratioAmp",
    "× graph": "ratioGraph",
    "GPU MB": "deviceMb",
    "graph MB": "torchDeviceMb",
  };
  const rows = json.rows.map((row) => [
    row.net,
    `${row.sparsity} %`,
    row.config,
    ...Object.values(columns).map((key) => round(row[key])),
    row.liveLogits === 0 ? "none" : `${((100 * row.liveWeights) / row.storedWeights).toFixed(0)} %`,
  ]);
  const head = ["net", "sparsity", "config", ...Object.keys(columns), "live"];
  const facts = { device: json.machine.device, ...(json.skipped && { PyTorch: json.skipped }) };
  const whole = statusOf(run) === "passed" && rows.length > 0 && !json.skipped;
  const status = whole || statusOf(run) === "stopped" ? statusOf(run) : "failed";
  return { status, facts, tables: [{ head, rows }], json };
}

module.exports = { judgeBuild, judgeTests, judgeSanitizer, judgeKernels, judgePeers };
