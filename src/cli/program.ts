import { Command } from "commander";
import { version } from "../version.js";
import { addBench } from "./bench.js";
import { addCompile } from "./compile.js";
import { addData } from "./data.js";
import { addDemo } from "./demo.js";
import { addEvaluate } from "./evaluate.js";
import { addExport } from "./export.js";
import { addImport } from "./import.js";
import { addInspect } from "./inspect.js";
import { addPlot } from "./plot.js";
import { addReproduce } from "./reproduce.js";
import { addRun } from "./run.js";
import { addSummary } from "./summary.js";
import { addSweep } from "./sweep.js";
import { addTrain } from "./train.js";

/** The command line, ready to parse. */
export function createProgram(): Command {
  const program = new Command("easting")
    .description("Train neural networks in which 99 to 99.99 % of the weights do not exist.")
    .version(version, "-v, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      outputError: (text, write) => write(text.replace(/\n\(Did you mean (.*)\)\n$/, "; did you mean $1\n")),
    })
    .exitOverride()
    .addHelpText(
      "after",
      `
Examples:
  easting train                                       ResNet-34 with EAST at 99 % on the embedded digits
  easting train --model resnet20 --epochs 30 --out runs/first
  easting evaluate runs/first
  easting summary --model resnet50 --sparsity 99.9
  easting <command> --help                            every option of a command

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 interrupted and saved, 130 stopped at once`,
    );
  for (const add of [
    addTrain,
    addEvaluate,
    addSummary,
    addSweep,
    addReproduce,
    addPlot,
    addExport,
    addCompile,
    addDemo,
    addImport,
    addInspect,
    addRun,
    addBench,
    addData,
  ])
    add(program);
  return program;
}
