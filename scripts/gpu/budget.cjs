"use strict";

/**
 * Seconds that each stage may take, of what is left when it begins: its own limit, less where stages after it would lose
 * the `least` that they need. Stages of one group run side by side.
 * @param {readonly { name: string, group: number, limit: number, least: number }[]} stages
 * @param {string} name of the stage that begins @param {number} left seconds
 */
function secondsFor(stages, name, left) {
  const stage = stages.find((one) => one.name === name);
  const later = new Map();
  for (const { group, least } of stages)
    if (group > stage.group) later.set(group, Math.max(later.get(group) ?? 0, least));
  const reserved = [...later.values()].reduce((sum, least) => sum + least, 0);
  return Math.min(stage.limit, Math.max(left - reserved, Math.min(stage.least, left)));
}

module.exports = { secondsFor };
