/** @typedef {import("./runtime.js").Loaded["image"]} ImageInput */

/** Draws the middle square of a photo or video on a square canvas. @param {HTMLCanvasElement} canvas @param {CanvasImageSource} source @param {number} width @param {number} height */
export function drawSquare(canvas, source, width, height) {
  const side = Math.min(width, height);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, 0, 0, canvas.width, canvas.height);
}

/** The canvas at another size, halved step by step so that every pixel counts. @param {HTMLCanvasElement} canvas @param {number} width @param {number} height */
function shrink(canvas, width, height) {
  let current = canvas;
  for (;;) {
    const next = document.createElement("canvas");
    next.width = Math.max(width, Math.ceil(current.width / 2));
    next.height = Math.max(height, Math.ceil(current.height / 2));
    const context = /** @type {CanvasRenderingContext2D} */ (next.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.drawImage(current, 0, 0, next.width, next.height);
    if (next.width === width && next.height === height) return next;
    current = next;
  }
}

/**
 * What the network is given of a canvas: normalised pixels [c, h, w], and for the eye the same as a canvas.
 * @param {HTMLCanvasElement} canvas @param {ImageInput} image @param {boolean} invert
 */
export function pixelsOf(canvas, { shape: [channels, height, width], mean, std }, invert) {
  const seen = shrink(canvas, width, height);
  const context = /** @type {CanvasRenderingContext2D} */ (seen.getContext("2d"));
  const picture = context.getImageData(0, 0, width, height);
  const { data } = picture;
  const pixels = new Float32Array(channels * height * width);
  for (let i = 0; i < height * width; i++) {
    const rgb = [data[4 * i], data[4 * i + 1], data[4 * i + 2]].map((value) => (invert ? 255 - value : value));
    // One channel: luma of ITU-R BT.601.
    const own = channels === 1 ? [0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]] : rgb;
    for (let c = 0; c < channels; c++) pixels[c * height * width + i] = (own[c] / 255 - mean[c]) / std[c];
    for (let c = 0; c < 3; c++) data[4 * i + c] = own[channels === 1 ? 0 : c];
  }
  context.putImageData(picture, 0, 0);
  return { pixels, seen };
}

/** Lets the pointer draw white lines on a canvas. @param {HTMLCanvasElement} canvas @param {() => void} changed */
export function drawable(canvas, changed) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  /** @type {{ x: number, y: number } | null} */
  let from = null;
  /** @param {PointerEvent} event */
  const at = ({ offsetX, offsetY }) => ({
    x: (offsetX / canvas.clientWidth) * canvas.width,
    y: (offsetY / canvas.clientHeight) * canvas.height,
  });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = at(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = at(event);
    context.strokeStyle = "white";
    context.lineCap = "round";
    context.lineWidth = canvas.width / 9;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    from = to;
    changed();
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => {
      from = null;
    });
}
