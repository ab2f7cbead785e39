// Picture, depth and classes, drawn pixel by pixel.

const STRENGTH = 0.55;
const DIMMED = 0.25;

/** Place of a depth on the scale: 0 at its far end, 1 at its near end (symbio/pictures.py). */
export function placeOf(depth, scale) {
  const high = Math.log(scale.high);
  return Math.min(1, Math.max(0, (high - Math.log(depth)) / (high - Math.log(scale.low))));
}

export function drawImage(canvas, answer) {
  const { rgb } = answer;
  draw(canvas, answer, (pixel) => [rgb[3 * pixel], rgb[3 * pixel + 1], rgb[3 * pixel + 2]]);
}

export function drawDepth(canvas, answer, scale) {
  const last = scale.colours.length - 1;
  draw(canvas, answer, (pixel) => {
    const metres = answer.depth[pixel];
    if (!(metres > 0 && Number.isFinite(metres))) return [0, 0, 0];
    return scale.colours[Math.round(placeOf(metres, scale) * last)];
  });
}

/** Classes over the picture; `only` (a class, or null) is shown alone. */
export function drawClasses(canvas, answer, colours, only) {
  const { rgb, classes } = answer;
  const mixed = [0, 0, 0];
  draw(canvas, answer, (pixel) => {
    const label = classes[pixel];
    const shown = only === null || label === only;
    const colour = colours[label];
    for (let part = 0; part < 3; part++) {
      const own = rgb[3 * pixel + part];
      mixed[part] = shown ? (1 - STRENGTH) * own + STRENGTH * colour[part] : DIMMED * own;
    }
    return mixed;
  });
}

export function drawRamp(canvas, scale) {
  const { colours } = scale;
  canvas.width = colours.length;
  // Near is on the left.
  draw(canvas, { width: colours.length, height: 1 }, (pixel) => colours[colours.length - 1 - pixel]);
}

/** Round numbers of metres between the scale's ends, both included. */
export function ticksOf(scale) {
  const steps = [];
  for (let power = 0.1; power < scale.high; power *= 10) {
    for (const digit of [1, 2, 5]) steps.push(Number((digit * power).toPrecision(1)));
  }
  const apart = 0.07;
  const ends = [scale.low, scale.high];
  const between = steps.filter((step) =>
    step > scale.low && step < scale.high &&
    ends.every((end) => Math.abs(placeOf(step, scale) - placeOf(end, scale)) > apart));
  return [scale.low, ...between, scale.high];
}

/** The classes of an answer, most frequent first: [class, share of the pixels]. */
export function sharesOf(answer) {
  const counts = new Map();
  for (const label of answer.classes) counts.set(label, (counts.get(label) ?? 0) + 1);
  const pixels = answer.classes.length;
  return [...counts].map(([label, count]) => [label, count / pixels]).sort((a, b) => b[1] - a[1]);
}

function draw(canvas, { width, height }, colourOf) {
  canvas.width = width;
  canvas.height = height;
  const picture = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [red, green, blue] = colourOf(pixel);
    picture.data[4 * pixel] = red;
    picture.data[4 * pixel + 1] = green;
    picture.data[4 * pixel + 2] = blue;
    picture.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
