import { connectionsOf, flowTo, strengths } from "./paths.js";

/**
 * @typedef {import("./runtime.js").Loaded} Loaded
 * @typedef {ReturnType<typeof import("./runtime.js").createNetwork>} Network
 */

const margin = 14;
const colours = { idle: "#3a4763", excite: "#ffb347", inhibit: "#5cc8ff", node: "#8b9ac0", lit: "#ffffff" };
const shades = 6;
const litPerStep = 28;
/** Height of the line of text below. */
const labels = 22;

/** Draws a network, one column of channels per step, on a canvas. @param {HTMLCanvasElement} canvas @param {Loaded} program @param {Network} network */
export function createDrawing(canvas, program, { planes, values }) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const columns = columnsOf(program);
  const connections = connectionsOf(program);
  /** @type {number[][]} */
  const steps = program.steps.map(() => []);
  connections.forEach(({ step }, i) => {
    steps[step].push(i);
  });
  const heights = orderedHeights(columns, connections);
  const still = document.createElement("canvas"); // what does not change with the image
  let [width, height, scale] = [0, 0, 1];
  /** @type {ReturnType<typeof flowTo> | null} */
  let lit = null;
  /** Columns that light has come to. */
  let reached = columns.length;
  let frame = 0;

  const x = new Float32Array(planes.length);
  const y = new Float32Array(planes.length);

  function resize() {
    const box = canvas.getBoundingClientRect();
    scale = Math.min(2, window.devicePixelRatio || 1);
    [width, height] = [box.width, box.height];
    for (const each of [canvas, still]) {
      each.width = Math.round(width * scale);
      each.height = Math.round(height * scale);
    }
    columns.forEach((column, i) => {
      for (const plane of column) {
        x[plane] = margin + (i * (width - 2 * margin)) / (columns.length - 1);
        y[plane] = heights[plane] * (height - labels);
      }
    });
    drawStill();
    draw();
  }

  /** @param {CanvasRenderingContext2D} on @param {number} i */
  function addLine(on, i) {
    const { from, to } = connections[i];
    const bend = (x[to] - x[from]) * 0.45;
    on.moveTo(x[from], y[from]);
    on.bezierCurveTo(x[from] + bend, y[from], x[to] - bend, y[to], x[to], y[to]);
  }

  /** The connections of each step with the largest flow, and their share of the step's largest. @param {Float32Array} flow */
  function brightest(flow) {
    return steps.flatMap((own) => {
      const sorted = own.filter((i) => flow[i] > 0).sort((a, b) => flow[b] - flow[a]);
      return sorted.slice(0, litPerStep).map((i) => ({ i, share: flow[i] / flow[sorted[0]] }));
    });
  }

  function drawStill() {
    const on = /** @type {CanvasRenderingContext2D} */ (still.getContext("2d"));
    on.setTransform(scale, 0, 0, scale, 0, 0);
    on.clearRect(0, 0, width, height);
    on.strokeStyle = colours.idle;
    on.lineWidth = 0.5;
    on.globalAlpha = Math.min(0.7, 900 / Math.sqrt(connections.length) / 20);
    on.beginPath();
    for (let i = 0; i < connections.length; i++) addLine(on, i);
    on.stroke();
    on.globalAlpha = 0.8;
    on.fillStyle = colours.node;
    for (const column of columns) for (const plane of column) on.fillRect(x[plane] - 0.75, y[plane] - 0.75, 1.5, 1.5);
    drawExtents(on);
  }

  /** Width × height of the planes, below the first column of its kind. @param {CanvasRenderingContext2D} on */
  function drawExtents(on) {
    on.globalAlpha = 1;
    on.font = "12px system-ui, sans-serif";
    let [shown, free] = ["1 × 1", 0];
    for (const [first] of columns) {
      const label = `${planes[first].width} × ${planes[first].height}`;
      if (label === shown || x[first] - margin < free) continue;
      on.fillText(label, x[first] - margin, height - 4);
      [shown, free] = [label, x[first] + on.measureText(label).width];
    }
  }

  function draw() {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(still, 0, 0);
    if (!lit) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.globalCompositeOperation = "lighter";
    /** Connections by shade and colour, to stroke each group at once. @type {Map<string, number[]>} */
    const groups = new Map();
    for (const { i, share } of brightest(lit.flow)) {
      const { step, weight, residual } = connections[i];
      if (step + 1 > reached) continue;
      const key = `${Math.ceil(Math.sqrt(share) * shades)} ${residual ? "lit" : weight < 0 ? "inhibit" : "excite"}`;
      const group = groups.get(key) ?? [];
      groups.set(key, group);
      group.push(i);
    }
    for (const [key, group] of groups) {
      const [shade, colour] = key.split(" ");
      const strength = Number(shade) / shades;
      context.strokeStyle = colours[/** @type {"lit" | "excite" | "inhibit"} */ (colour)];
      context.globalAlpha = (colour === "lit" ? 0.4 : 0.8) * strength;
      context.lineWidth = 0.5 + 1.2 * strength;
      context.beginPath();
      for (const i of group) addLine(context, i);
      context.stroke();
    }
    context.fillStyle = colours.lit;
    columns.slice(0, reached + 1).forEach((column) => {
      const most = column.reduce((a, plane) => Math.max(a, lit?.through[plane] ?? 0), 0);
      for (const plane of column) {
        const share = Math.sqrt((lit?.through[plane] ?? 0) / most);
        if (!(share > 0.35)) continue;
        context.globalAlpha = share;
        context.beginPath();
        context.arc(x[plane], y[plane], 0.8 + 1.8 * share, 0, 2 * Math.PI);
        context.fill();
      }
    });
  }

  /** Lights the paths to one logit; from left to right if `sweep`. @param {number} label @param {boolean} sweep */
  function light(label, sweep) {
    lit = flowTo(connections, strengths(planes, values), planes.length - program.classes.length + label);
    cancelAnimationFrame(frame);
    if (!sweep || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      reached = columns.length;
      draw();
      return;
    }
    const started = performance.now();
    const advance = () => {
      reached = Math.min(columns.length, Math.floor(((performance.now() - started) / 700) * columns.length));
      draw();
      if (reached < columns.length) frame = requestAnimationFrame(advance);
    };
    advance();
  }

  /** The plane nearest to a point of the canvas, and the point; null where none is near. @param {number} px @param {number} py */
  function planeAt(px, py) {
    let [nearest, best] = [-1, 12 ** 2];
    for (let plane = 0; plane < planes.length; plane++) {
      const distance = (x[plane] - px) ** 2 + (y[plane] - py) ** 2;
      if (distance < best) [nearest, best] = [plane, distance];
    }
    if (nearest < 0) return null;
    const column = columns.findIndex((each) => each.includes(nearest));
    return { plane: nearest, column, channel: columns[column].indexOf(nearest), x: x[nearest], y: y[nearest] };
  }

  new ResizeObserver(resize).observe(canvas);
  resize();
  return { light, planeAt, connections: connections.length };
}

/** Planes of the image, then of each step. @param {Loaded} program @returns {number[][]} */
function columnsOf({ image, steps }) {
  let next = 0;
  return [image.shape[0], ...steps.map(({ rows }) => rows)].map((count) => Array.from({ length: count }, () => next++));
}

/**
 * Height of each plane from 0 to 1: the classes in order, before them each channel near those that it goes to.
 * @param {readonly (readonly number[])[]} columns @param {ReturnType<typeof connectionsOf>} connections
 */
function orderedHeights(columns, connections) {
  const count = columns.reduce((sum, { length }) => sum + length, 0);
  const heights = new Float32Array(count).fill(0.5);
  /** @type {number[][]} */
  const readers = Array.from({ length: count }, () => []);
  for (const { from, to } of connections) readers[from].push(to);
  const last = columns.length - 1;
  columns.toReversed().forEach((column, i) => {
    /** @param {number} plane */
    const wanted = (plane) =>
      readers[plane].reduce((sum, to) => sum + heights[to], 0) / Math.max(1, readers[plane].length);
    const order = i === 0 || i === last ? column : column.toSorted((a, b) => wanted(a) - wanted(b));
    order.forEach((plane, place) => {
      heights[plane] = (place + 0.5) / order.length;
    });
  });
  return heights;
}
