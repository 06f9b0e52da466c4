"use strict";
const { spawn } = require("node:child_process");

/** What is kept of a command's output; the end of it. */
const most = 1 << 22;
const running = new Set();

/**
 * Runs a command in a process group of its own and ends the group at its limit.
 * @returns {Promise<{ status: number | null, stopped: boolean, seconds: number, output: string, stdout: string }>}
 *   `status` is null where it could not be started or was ended by a signal.
 */
function runCommand(command, args, { seconds, env = {}, cwd } = {}) {
  return new Promise((resolve) => {
    const start = performance.now();
    let output = "";
    let stdout = "";
    let stopped = false;
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const signal = (name) => {
      try {
        process.kill(-child.pid, name);
      } catch {} // it has ended
    };
    const end = () => signal("SIGKILL");
    const limit = setTimeout(() => {
      stopped = true;
      signal("SIGTERM");
      setTimeout(end, 3000).unref();
    }, seconds * 1000);
    if (child.pid !== undefined) running.add(end);
    const keep = (text) => {
      output = (output + text).slice(-most);
    };
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout = (stdout + text).slice(-most);
      keep(text);
    });
    child.stderr.setEncoding("utf8").on("data", keep);
    let done = false;
    const finish = (status) => {
      if (done) return;
      done = true;
      clearTimeout(limit);
      running.delete(end);
      resolve({ status, stopped, seconds: (performance.now() - start) / 1000, output, stdout });
    };
    child.on("error", (error) => {
      keep(`${error.message}\n`);
      finish(null);
    });
    child.on("exit", (status) => {
      // Whoever outlives it in its group holds the pipes.
      if (stopped) end();
      setTimeout(finish, 1000, status);
    });
    child.on("close", finish);
  });
}

/** Ends what is still running. */
function endAll() {
  for (const end of running) end();
}

module.exports = { runCommand, endAll };
