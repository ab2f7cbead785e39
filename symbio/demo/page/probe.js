// One pointer over all pictures: mouse, finger or arrow keys.

/**
 * Call `told(column, row, byKey)` where somebody points, and mark the place in every panel.
 * `size()` gives the picture's [width, height], or null while there is none.
 */
export class Probe {
  constructor(panels, size, told) {
    this.panels = panels;
    this.size = size;
    this.told = told;
    this.place = null;
    for (const panel of panels) {
      panel.addEventListener("pointermove", (event) => this.follow(panel, event));
      panel.addEventListener("pointerdown", (event) => this.follow(panel, event));
      panel.addEventListener("keydown", (event) => this.step(event));
    }
  }

  hide() {
    this.place = null;
    for (const panel of this.panels) panel.querySelector(".cross").hidden = true;
  }

  follow(panel, event) {
    const size = this.size();
    if (!size) return;
    const box = panel.getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width;
    const down = (event.clientY - box.top) / box.height;
    this.go(Math.floor(across * size[0]), Math.floor(down * size[1]), false);
  }

  step(event) {
    const size = this.size();
    const way = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    }[event.key];
    if (!size || !way) return;
    event.preventDefault();
    const far = event.shiftKey ? 1 : Math.max(1, Math.round(size[0] / 40));
    const [column, row] = this.place ?? [size[0] >> 1, size[1] >> 1];
    this.go(column + way[0] * far, row + way[1] * far, true);
  }

  go(column, row, byKey) {
    const [width, height] = this.size();
    column = Math.min(width - 1, Math.max(0, column));
    row = Math.min(height - 1, Math.max(0, row));
    this.place = [column, row];
    for (const panel of this.panels) {
      const cross = panel.querySelector(".cross");
      cross.hidden = false;
      cross.style.left = `${(100 * (column + 0.5)) / width}%`;
      cross.style.top = `${(100 * (row + 0.5)) / height}%`;
    }
    this.told(column, row, byKey);
  }
}
