// The page: a picture goes to the server, and what comes back is shown.

import { ask, unpacked } from "./answer.js";
import { Cloud } from "./cloud.js";
import {
  drawClasses, drawDepth, drawImage, drawRamp, placeOf, sharesOf, ticksOf,
} from "./panels.js";
import { Probe } from "./probe.js";

const at = (id) => document.getElementById(id);
const WIDE = 2.2;

let facts = null;
let answer = null;
let picture = null;
let asking = null;
let only = null;
const cloud = new Cloud(at("cloud"));
const probe = new Probe(
  [...document.querySelectorAll(".panel")],
  () => answer && [answer.width, answer.height],
  tellValue,
);

async function start() {
  try {
    const told = await fetch("facts");
    if (!told.ok) throw new Error(`the server answered ${told.status}`);
    facts = await told.json();
  } catch (error) {
    complain(error.message);
    return;
  }
  const [height, width] = facts.image_size;
  const parts = [facts.name, `${width} x ${height} pixels`,
    `${metres(facts.scale.low)} to ${metres(facts.scale.high)}`];
  if (facts.parameters) parts.push(`${(facts.parameters / 1e6).toFixed(1)} million parameters`);
  parts.push(facts.classes ? `classes of ${facts.classes.space}` : "depth alone");
  at("facts").textContent = parts.join(" · ");
  document.title = `symbio: ${facts.name}`;
  at("classes-figure").hidden = !facts.classes;
  at("cloud-figure").hidden = at("save-points").hidden = !facts.has_points;
  at("camera").textContent = `Shapes are right for pictures with the field of view of ${
    facts.dataset}'s camera.`;
  drawScale();
}

function drawScale() {
  drawRamp(at("ramp"), facts.scale);
  at("ticks").replaceChildren(...ticksOf(facts.scale).map((depth) => {
    const tick = document.createElement("span");
    tick.textContent = metres(depth);
    tick.style.left = `${100 * (1 - placeOf(depth, facts.scale))}%`;
    return tick;
  }));
}

/** Show what the model says of a Blob with a name. */
async function show(blob, name) {
  await started;
  if (!facts) return;
  if (blob.size > facts.most_bytes) {
    complain(`${name} has ${(blob.size / 2 ** 20).toFixed(0)} MiB; at most ${
      facts.most_bytes / 2 ** 20} MiB are taken. Make it smaller first.`);
    return;
  }
  asking?.abort();
  const mine = asking = new AbortController();
  complain(null);
  at("status").textContent = `Predicting ${name} ...`;
  try {
    const response = await ask("predict", blob, mine.signal);
    const found = unpacked(await response.arrayBuffer());
    if (mine !== asking) return;
    answer = found;
    picture = { blob, name };
    draw();
    at("status").textContent =
      `${name}: ${found.width} x ${found.height} pixels in ${found.seconds.toFixed(2)} s`;
  } catch (error) {
    if (mine !== asking || error.name === "AbortError") return;
    at("status").textContent = "";
    complain(`${name}: ${error.message}`);
  }
}

function draw() {
  only = null;
  probe.hide();
  at("here").hidden = true;
  at("value").textContent = "Point at a picture: its depth and class.";
  at("notes").replaceChildren(...answer.notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note;
    return item;
  }));
  document.body.classList.add("has-result");
  at("result").hidden = false;
  document.querySelector(".grid").classList.toggle("wide", answer.width > WIDE * answer.height);
  drawImage(at("image"), answer);
  drawDepth(at("depth"), answer, facts.scale);
  if (answer.classes) {
    drawClasses(at("classes"), answer, facts.classes.colours, only);
    drawLegend();
  }
  if (answer.focal_px) cloud.show(answer);
}

function drawLegend() {
  at("legend").replaceChildren(...sharesOf(answer).map(([label, share]) => {
    const button = document.createElement("button");
    const colour = document.createElement("i");
    colour.style.background = `rgb(${facts.classes.colours[label].join(" ")})`;
    const percent = share < 0.01 ? "<1" : Math.round(100 * share);
    button.append(colour, `${facts.classes.names[label]} ${percent} %`);
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      only = only === label ? null : label;
      for (const other of at("legend").children) {
        other.setAttribute("aria-pressed", String(other === button && only === label));
      }
      drawClasses(at("classes"), answer, facts.classes.colours, only);
    });
    return button;
  }));
}

function tellValue(column, row, byKey) {
  const pixel = row * answer.width + column;
  const depth = answer.depth[pixel];
  const parts = [`${depth.toFixed(2)} m`];
  if (answer.classes) parts.push(facts.classes.names[answer.classes[pixel]]);
  // Read aloud where keys move the pointer; a mouse would never let it finish.
  at("value").setAttribute("aria-live", byKey ? "polite" : "off");
  at("value").textContent = `${parts.join(" · ")} at (${column}, ${row})`;
  at("here").hidden = false;
  at("here").style.left = `${100 * (1 - placeOf(depth, facts.scale))}%`;
}

/** Let the server make a file of the picture shown, and hand it to the browser. */
async function save(button, place, ending) {
  button.disabled = true;
  complain(null);
  try {
    const made = await (await ask(place, picture.blob)).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(made);
    link.download = picture.name.replace(/\.[^.]*$/, "") + ending;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    complain(error.message);
  } finally {
    button.disabled = false;
  }
}

function complain(message) {
  at("alert").hidden = !message;
  at("alert").textContent = message ?? "";
}

function metres(depth) {
  return `${Number(depth.toPrecision(2))} m`;
}

function first(files) {
  const [file] = files;
  if (file) show(file, file.name || "picture");
}

at("file").addEventListener("change", (event) => {
  first(event.target.files);
  // The same file, changed meanwhile, may be chosen again.
  event.target.value = "";
});
at("example").addEventListener("click", async () => {
  try {
    show(await (await fetch("example.jpg")).blob(), "example.jpg");
  } catch {
    complain("The server does not answer. Is `symbio demo` still running?");
  }
});
at("save-depth").addEventListener("click", (event) => save(event.target, "depth.png", "_depth.png"));
at("save-points").addEventListener("click", (event) => save(event.target, "cloud.ply", ".ply"));
document.addEventListener("paste", (event) => first(event.clipboardData.files));
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) at("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  first(event.dataTransfer.files);
});

const started = start();
