import { createDrawing } from "./drawing.js";
import { drawable, drawSquare, pixelsOf } from "./picture.js";
import { createNetwork, unpack } from "./runtime.js";

/** @template {HTMLElement} E @param {string} id @param {new () => E} type @returns {E} */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`no ${type.name} ${id}`);
  return found;
}
/** @param {string} id */
const json = (id) => JSON.parse(element(id, HTMLScriptElement).text);

const program = await unpack(json("program"));
const network = createNetwork(program);
const { image, classes } = program;
const picture = element("picture", HTMLCanvasElement);
const drawing = createDrawing(element("network", HTMLCanvasElement), program, network);
const rows = listClasses();
network.run(new Float32Array(image.shape[0] * image.shape[1] * image.shape[2])); // compiled by the time it is timed
let answer = -1;
/** The class whose paths are shown; -1 for the answer's. */
let chosen = -1;
let invert = false;

/** Where the classes stand in order, in a list as high as the drawing, else the five likeliest. */
function listClasses() {
  const list = element("classes", HTMLOListElement);
  return Array.from({ length: classes.length <= 20 ? classes.length : 5 }, (_, i) => {
    const button = document.createElement("button");
    const [name, share, bar] = ["name", "share", "bar"].map((part) => {
      const span = document.createElement("span");
      span.className = part;
      return span;
    });
    const fill = bar.appendChild(document.createElement("i"));
    fill.style.width = "0";
    name.textContent = classes.length <= 20 ? classes[i] : "–";
    button.type = "button";
    button.append(name, share, bar);
    list.appendChild(document.createElement("li")).append(button);
    const row = { button, name, share, fill, label: i };
    button.addEventListener("click", () => choose(chosen === row.label ? -1 : row.label));
    return row;
  });
}

/** @param {number} label */
function choose(label) {
  chosen = label;
  for (const row of rows) row.button.setAttribute("aria-pressed", String(row.label === chosen));
  if (answer >= 0) drawing.light(chosen < 0 ? answer : chosen, false);
}

/** Logits of normalised pixels [c, h, w]; also shows them. @param {Float32Array} pixels @param {{ sweep?: boolean, repeat?: boolean }} [how] */
function classify(pixels, { sweep = false, repeat = false } = {}) {
  const times = [];
  let logits = new Float32Array(0);
  const started = performance.now();
  do {
    const begin = performance.now();
    logits = network.run(pixels);
    times.push(performance.now() - begin);
  } while (repeat && times.length < 9 && performance.now() - started < 250);
  const time = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  element("time", HTMLOutputElement).value = `${time.toFixed(time < 10 ? 1 : 0)} ms`;
  show(logits, sweep);
  return logits;
}

/** @param {Float32Array} logits @param {boolean} sweep */
function show(logits, sweep) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
  answer = order[0];
  rows.forEach((row, i) => {
    if (classes.length > 20) row.label = order[i];
    const share = powers[row.label] / total;
    row.name.textContent = classes[row.label];
    row.share.textContent = `${(100 * share).toFixed(share > 0.0995 ? 0 : 1)} %`;
    row.fill.style.width = `${100 * share}%`;
    row.button.classList.toggle("first", row.label === answer);
  });
  const text = `${classes[answer]}, ${Math.round((100 * powers[answer]) / total)} %`;
  const announcement = element("announcement", HTMLParagraphElement);
  if (announcement.textContent !== text) announcement.textContent = text;
  if (sweep) choose(-1);
  drawing.light(chosen < 0 ? answer : chosen, sweep);
}

/** Classifies what is on the canvas. @param {{ sweep?: boolean, repeat?: boolean }} [how] */
function look(how) {
  element("invitation", HTMLParagraphElement).hidden = true;
  const { pixels, seen } = pixelsOf(picture, image, invert);
  const shown = element("pixels", HTMLCanvasElement);
  [shown.width, shown.height] = [seen.width, seen.height];
  shown.getContext("2d")?.drawImage(seen, 0, 0);
  element("seen", HTMLElement).hidden = false;
  classify(pixels, how);
}

/** @param {Blob} file */
async function open(file) {
  stopCamera();
  const announcement = element("announcement", HTMLParagraphElement);
  try {
    const bitmap = await createImageBitmap(file);
    drawSquare(picture, bitmap, bitmap.width, bitmap.height);
    bitmap.close();
    look({ sweep: true, repeat: true });
  } catch {
    announcement.textContent = "This file is no picture that the browser can read.";
    element("invitation", HTMLParagraphElement).textContent = announcement.textContent;
    element("invitation", HTMLParagraphElement).hidden = false;
  }
}

const file = element("file", HTMLInputElement);
file.addEventListener("change", () => {
  if (file.files?.[0]) open(file.files[0]);
  file.value = "";
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer?.files[0]) open(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const pasted = event.clipboardData?.files[0];
  if (pasted) open(pasted);
});

const camera = element("camera", HTMLButtonElement);
const video = document.createElement("video");
video.muted = true;
video.playsInline = true;
/** @type {MediaStream | null} */
let stream = null;
camera.disabled = !navigator.mediaDevices;
camera.title = camera.disabled ? "Cameras need a page from a file or over HTTPS" : "";
camera.addEventListener("click", async () => {
  if (stream) return stopCamera();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    element("announcement", HTMLParagraphElement).textContent = "No camera may be used.";
    camera.textContent = "No camera";
    return;
  }
  camera.setAttribute("aria-pressed", "true");
  video.srcObject = stream;
  await video.play();
  followCamera();
});

function followCamera() {
  if (!stream) return;
  drawSquare(picture, video, video.videoWidth, video.videoHeight);
  look();
  setTimeout(() => requestAnimationFrame(followCamera), 60);
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  camera.setAttribute("aria-pressed", "false");
}

/** @type {{ name: string, url: string }[]} */
const pictures = json("pictures");
for (const { name, url } of pictures) {
  const button = document.createElement("button");
  const thumbnail = document.createElement("img");
  thumbnail.src = url;
  thumbnail.alt = name;
  button.type = "button";
  button.append(thumbnail);
  button.addEventListener("click", async () => {
    stopCamera();
    await thumbnail.decode();
    drawSquare(picture, thumbnail, thumbnail.naturalWidth, thumbnail.naturalHeight);
    look({ sweep: true, repeat: true });
  });
  element("samples", HTMLDivElement).append(button);
}

if (image.shape[0] === 1) {
  // Small grey images are most often digits or letters: draw them.
  const clear = element("clear", HTMLButtonElement);
  const inverted = element("invert", HTMLButtonElement);
  const wipe = () => {
    const context = picture.getContext("2d");
    if (context) context.fillStyle = "black";
    context?.fillRect(0, 0, picture.width, picture.height);
    element("invitation", HTMLParagraphElement).hidden = false;
    element("invitation", HTMLParagraphElement).textContent = "Draw, or drop a photo";
  };
  for (const button of [clear, inverted]) button.hidden = false;
  clear.addEventListener("click", wipe);
  inverted.addEventListener("click", () => {
    invert = !invert;
    inverted.setAttribute("aria-pressed", String(invert));
    look();
  });
  element("frame", HTMLDivElement).classList.add("drawable");
  drawable(picture, () => look());
  wipe();
}

const plane = element("plane", HTMLElement);
const canvas = element("network", HTMLCanvasElement);
canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
  const found = answer < 0 ? null : drawing.planeAt(offsetX, offsetY);
  plane.hidden = !found;
  if (!found) return;
  const { start, height, width, pitch } = network.planes[found.plane];
  const values = Float32Array.from({ length: height * width }, (_, i) => {
    return network.values[start + Math.floor(i / width) * pitch + (i % width)];
  });
  const [least, most] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [0, 0]);
  const shown = /** @type {HTMLCanvasElement} */ (plane.querySelector("canvas"));
  [shown.width, shown.height] = [width, height];
  const pixels = new ImageData(width, height);
  values.forEach((value, i) => {
    const grey = (255 * (value - least)) / (most - least || 1);
    pixels.data.set([grey, grey, grey, 255], 4 * i);
  });
  shown.getContext("2d")?.putImageData(pixels, 0, 0);
  const layer = found.column === 0 ? "image" : `step ${found.column}`;
  const caption = /** @type {HTMLElement} */ (plane.querySelector("figcaption"));
  caption.textContent = `${layer}, channel ${found.channel + 1}, ${width} × ${height}`;
  plane.style.left = `${Math.min(found.x + 10, canvas.clientWidth - 116)}px`;
  plane.style.top = `${Math.min(found.y + 10, canvas.clientHeight - 150)}px`;
});
canvas.addEventListener("pointerleave", () => {
  plane.hidden = true;
});

// For the browser's console, and for tests.
Object.assign(globalThis, { easting: { classify, network, program } });
if (pictures.length > 0) element("samples", HTMLDivElement).querySelector("button")?.click();
