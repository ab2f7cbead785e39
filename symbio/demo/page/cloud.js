// The points in space, drawn without a graphics processor: a depth buffer and small squares.

const MOST_POINTS = 220000;
const MOST_WIDTH = 1100;
const NEAREST = 0.02;
// A little more than the distance of two points, so that slanted surfaces close.
const SIDE = 1.35;
const FIRST = { yaw: -0.32, pitch: 0.16, closer: 0.85 };
const LIMITS = { pitch: 1.5, closest: 12, farthest: 0.15 };

export class Cloud {
  constructor(canvas) {
    this.canvas = canvas;
    this.view = { ...FIRST };
    this.points = null;
    this.waiting = false;
    this.fingers = new Map();
    this.listen();
    new ResizeObserver(() => this.soon()).observe(canvas);
  }

  /** Show an answer's points (symbio/demo/answer.py); they need its focal length. */
  show({ width, height, depth, rgb, focal_px: focal }) {
    const step = Math.max(1, Math.ceil(Math.sqrt((width * height) / MOST_POINTS)));
    const places = [];
    const count = Math.ceil(width / step) * Math.ceil(height / step);
    const colours = new Uint32Array(count);
    const spacings = new Float32Array(count);
    const xyz = new Float32Array(3 * count);
    let point = 0;
    for (let row = 0; row < height; row += step) {
      for (let column = 0; column < width; column += step) {
        const pixel = row * width + column;
        const z = depth[pixel];
        if (!(z > 0 && Number.isFinite(z))) continue;
        xyz[3 * point] = ((column + 0.5 - width / 2) / focal) * z;
        xyz[3 * point + 1] = ((row + 0.5 - height / 2) / focal) * z;
        xyz[3 * point + 2] = z;
        spacings[point] = (z * step) / focal;
        colours[point] = 0xff000000 | (rgb[3 * pixel + 2] << 16) | (rgb[3 * pixel + 1] << 8)
          | rgb[3 * pixel];
        places.push(z);
        point += 1;
      }
    }
    places.sort((a, b) => a - b);
    this.points = {
      xyz, colours, spacings, count: point, focalOfWidth: focal / width,
      shape: Math.min(0.8, Math.max(0.45, height / width)),
      pivot: places[places.length >> 1] ?? 1,
    };
    this.reset();
  }

  reset() {
    this.view = { ...FIRST };
    this.soon();
  }

  turn(yaw, pitch) {
    const { pitch: most } = LIMITS;
    this.view.yaw += yaw;
    this.view.pitch = Math.min(most, Math.max(-most, this.view.pitch + pitch));
    this.soon();
  }

  come(factor) {
    const { closest, farthest } = LIMITS;
    this.view.closer = Math.min(closest, Math.max(farthest, this.view.closer * factor));
    this.soon();
  }

  soon() {
    if (this.waiting || !this.points) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  /** The points turn about the pivot, which lies on the camera's axis at the median depth. */
  draw() {
    const { xyz, colours, spacings, count, focalOfWidth, shape, pivot } = this.points;
    const shown = this.canvas.clientWidth * (window.devicePixelRatio || 1);
    const width = Math.max(1, Math.round(Math.min(MOST_WIDTH, shown)));
    const height = Math.max(1, Math.round(width * shape));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const picture = new ImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    const nearest = new Float32Array(width * height).fill(Infinity);
    const focal = focalOfWidth * width;
    const away = pivot / this.view.closer;
    const near = NEAREST * pivot;
    const [cy, sy] = [Math.cos(this.view.yaw), Math.sin(this.view.yaw)];
    const [cp, sp] = [Math.cos(this.view.pitch), Math.sin(this.view.pitch)];
    for (let point = 0; point < count; point++) {
      const x = xyz[3 * point];
      const y = xyz[3 * point + 1];
      const z = xyz[3 * point + 2] - pivot;
      const across = cy * x + sy * z;
      const along = cy * z - sy * x;
      const down = cp * y - sp * along;
      const forward = sp * y + cp * along + away;
      if (forward < near) continue;
      const side = Math.min(9, Math.max(1, Math.ceil((SIDE * focal * spacings[point]) / forward)));
      const left = Math.round(width / 2 + (focal * across) / forward - side / 2);
      const top = Math.round(height / 2 + (focal * down) / forward - side / 2);
      const right = Math.min(width, left + side);
      const bottom = Math.min(height, top + side);
      for (let row = Math.max(0, top); row < bottom; row++) {
        for (let column = Math.max(0, left); column < right; column++) {
          const pixel = row * width + column;
          if (forward < nearest[pixel]) {
            nearest[pixel] = forward;
            pixels[pixel] = colours[point];
          }
        }
      }
    }
    this.canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  listen() {
    const { canvas, fingers } = this;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.come(Math.exp(-event.deltaY / 600));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("keydown", (event) => {
      const act = {
        ArrowLeft: () => this.turn(-0.1, 0), ArrowRight: () => this.turn(0.1, 0),
        ArrowUp: () => this.turn(0, -0.1), ArrowDown: () => this.turn(0, 0.1),
        "+": () => this.come(1.15), "-": () => this.come(1 / 1.15), Home: () => this.reset(),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  /** One finger or the mouse turns; two fingers come closer. */
  move(event) {
    const { fingers, canvas } = this;
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    fingers.set(event.pointerId, now);
    if (fingers.size === 1) {
      const whole = canvas.clientWidth / 2.5;
      this.turn((now[0] - before[0]) / whole, (now[1] - before[1]) / whole);
    } else if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
      this.come(apart(now) / apart(before));
    }
  }
}
