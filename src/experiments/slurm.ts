import type { CellStatus } from "./board.js";

/**
 * A Slurm array script for the cells that are not done. Slurm ends jobs with SIGTERM (at a time limit two minutes
 * ahead): training then saves and ends with code 75, and the job puts itself back into the queue.
 */
export function slurmScript(sweep: string, statuses: readonly CellStatus[], jobs: number, command: string): string {
  const open = statuses.flatMap(({ state }, i) => (state === "done" ? [] : [i]));
  return `#!/bin/bash
#SBATCH --job-name=easting
#SBATCH --array=${ranges(open)}%${jobs}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
${command} sweep run ${quote(sweep)} --cell "$SLURM_ARRAY_TASK_ID" &
training=$!
trap 'kill -TERM $training' TERM
wait $training; code=$?
# The first wait ends with the signal, the second with the training.
if [ $code -gt 128 ]; then wait $training; code=$?; fi
if [ $code -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit $code
`;
}

/** 0, 1, 2, 5 as 0-2,5. */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
