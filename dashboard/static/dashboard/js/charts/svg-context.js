// A drawing context that writes SVG. It has what Chart.js and the plugins of this project call. A chart drawn on it has the
// same layout as on a canvas, because text is measured with a real canvas context.
//
// Three details matter. Chart.js strokes lines with a cached Path2D, which cannot be read: give line datasets `segment: {}`;
// a path as an argument throws an error. A clip path on a rotated element is rotated as well, so text is clipped by a group
// around it. Paths are written in final coordinates, so line widths and dashes are scaled, too.

const FULL_CIRCLE = 2 * Math.PI;
const ANCHOR = { left: "start", start: "start", center: "middle", right: "end", end: "end" };
const BASELINE_SHIFT_EM = { top: 0.78, hanging: 0.78, middle: 0.36, bottom: -0.22, ideographic: -0.22, alphabetic: 0 };
const FONT = /(?:(italic|oblique|normal)\s+)?(?:(\d{3}|bold|normal)\s+)?([\d.]+)px(?:\/\S+)?\s+(.+)/;

const finite = (...values) => values.every(Number.isFinite);
const rounded = (value) => String(Math.round(value * 100) / 100);
const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

function multiply([a, b, c, d, e, f], [g, h, i, j, k, l]) {
  return [a * g + c * h, b * g + d * h, a * i + c * j, b * i + d * j, a * k + c * l + e, b * k + d * l + f];
}

// A colour attribute, with the alpha as an attribute of its own, because many programs do not read rgba().
function paint(name, value) {
  const match = /rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)(?:[, /]+([\d.]+))?\)/.exec(value);
  if (!match) return value === "transparent" ? `${name}="none"` : `${name}="${escape(value)}"`;
  const [, red, green, blue, alpha] = match;
  return `${name}="rgb(${red},${green},${blue})"${alpha === undefined ? "" : ` ${name}-opacity="${alpha}"`}`;
}

export class SvgContext {
  fillStyle = "#000000";
  strokeStyle = "#000000";
  lineWidth = 1;
  lineCap = "butt";
  lineJoin = "miter";
  lineDashOffset = 0;
  font = "10px sans-serif";
  textAlign = "start";
  textBaseline = "alphabetic";
  globalAlpha = 1;
  #dash = [];
  #matrix;
  #base;
  #clip = null;
  #clips = 0;
  #stack = [];
  #path = "";
  #parts = [];
  #ruler;

  // `ruler`: a real 2d context, which measures text. `top`: the height of the head above the chart.
  constructor(width, height, ruler, top = 0) {
    this.canvas = { width, height: height - top, getContext: () => this };
    this.width = width;
    this.height = height;
    this.#ruler = ruler;
    this.#base = [1, 0, 0, 1, 0, 0];
    this.#matrix = this.#base;
    this.top = top;
  }

  // Draw below the head from now on.
  beginChart() {
    this.#base = [1, 0, 0, 1, 0, this.top];
    this.#matrix = this.#base;
  }

  toString(title, description) {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}"><title>${escape(title)}</title><desc>${escape(description)}</desc>${this.#parts.join("")}</svg>`;
  }

  // State

  static #savedStyles = ["fillStyle", "strokeStyle", "lineWidth", "lineCap", "lineJoin", "lineDashOffset", "font", "textAlign", "textBaseline", "globalAlpha"];

  save() {
    const styles = Object.fromEntries(SvgContext.#savedStyles.map((name) => [name, this[name]]));
    this.#stack.push({ styles, matrix: this.#matrix, clip: this.#clip, dash: this.#dash });
  }

  restore() {
    const saved = this.#stack.pop();
    if (!saved) return;
    Object.assign(this, saved.styles);
    this.#matrix = saved.matrix;
    this.#clip = saved.clip;
    this.#dash = saved.dash;
  }

  translate(x, y) {
    this.#matrix = multiply(this.#matrix, [1, 0, 0, 1, x, y]);
  }

  rotate(angle) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    this.#matrix = multiply(this.#matrix, [cos, sin, -sin, cos, 0, 0]);
  }

  scale(x, y) {
    this.#matrix = multiply(this.#matrix, [x, 0, 0, y, 0, 0]);
  }

  setTransform(a = 1, b = 0, c = 0, d = 1, e = 0, f = 0) {
    this.#matrix = multiply(this.#base, [a, b, c, d, e, f]);
  }

  resetTransform() {
    this.#matrix = this.#base;
  }

  setLineDash(dash) {
    this.#dash = [...dash];
  }

  // Paths, in final coordinates. As on a canvas, calls with values that are not finite are ignored; gaps in stacked areas
  // make such calls.

  #point(x, y) {
    const [a, b, c, d, e, f] = this.#matrix;
    return `${rounded(a * x + c * y + e)} ${rounded(b * x + d * y + f)}`;
  }

  get #scale() {
    const [a, b] = this.#matrix;
    return Math.hypot(a, b);
  }

  beginPath() {
    this.#path = "";
  }

  closePath() {
    if (this.#path) this.#path += "Z";
  }

  moveTo(x, y) {
    if (!finite(x, y)) return;
    this.#path += `M${this.#point(x, y)}`;
  }

  lineTo(x, y) {
    if (!finite(x, y)) return;
    this.#path += `${this.#path ? "L" : "M"}${this.#point(x, y)}`;
  }

  bezierCurveTo(x1, y1, x2, y2, x, y) {
    if (!finite(x1, y1, x2, y2, x, y)) return;
    this.#path += `C${this.#point(x1, y1)} ${this.#point(x2, y2)} ${this.#point(x, y)}`;
  }

  rect(x, y, width, height) {
    if (!finite(x, y, width, height)) return;
    this.#path += `M${this.#point(x, y)}L${this.#point(x + width, y)}L${this.#point(x + width, y + height)}L${this.#point(x, y + height)}Z`;
  }

  arc(x, y, radius, start, end, backwards = false) {
    if (!finite(x, y, radius, start, end)) return;
    let sweep = backwards ? start - end : end - start;
    if (sweep >= FULL_CIRCLE) sweep = FULL_CIRCLE;
    else sweep = ((sweep % FULL_CIRCLE) + FULL_CIRCLE) % FULL_CIRCLE;
    const sign = backwards ? -1 : 1;
    const point = (angle) => [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
    this.lineTo(...point(start));
    // In two halves, because an arc of a full circle would start where it ends.
    const halves = sweep > Math.PI ? 2 : 1;
    for (let half = 1; half <= halves && sweep > 0; half += 1) {
      const r = rounded(radius * this.#scale);
      this.#path += `A${r} ${r} 0 0 ${backwards ? 0 : 1} ${this.#point(...point(start + (sign * sweep * half) / halves))}`;
    }
  }

  clip() {
    this.#clips += 1;
    const id = `clip${this.#clips}`;
    this.#parts.push(`<clipPath id="${id}"${this.#clipAttribute()}><path d="${this.#path}"/></clipPath>`);
    this.#clip = id;
  }

  #clipAttribute() {
    return this.#clip ? ` clip-path="url(#${this.#clip})"` : "";
  }

  #opacityAttribute() {
    return this.globalAlpha < 1 ? ` opacity="${rounded(this.globalAlpha)}"` : "";
  }

  fill(path) {
    if (typeof path === "object") throw new TypeError("A Path2D cannot be written as SVG.");
    if (this.#path && this.fillStyle) this.#parts.push(`<path d="${this.#path}" ${paint("fill", this.fillStyle)}${this.#opacityAttribute()}${this.#clipAttribute()}/>`);
  }

  stroke(path) {
    if (typeof path === "object") throw new TypeError("A Path2D cannot be written as SVG: give line datasets `segment: {}`.");
    if (!this.#path || !(this.lineWidth > 0)) return;
    const scale = this.#scale;
    const dash = this.#dash.length ? ` stroke-dasharray="${this.#dash.map((length) => rounded(length * scale)).join(" ")}"` : "";
    const ends = this.lineCap === "butt" ? "" : ` stroke-linecap="${this.lineCap}"`;
    const joins = this.lineJoin === "miter" ? "" : ` stroke-linejoin="${this.lineJoin}"`;
    this.#parts.push(`<path d="${this.#path}" fill="none" ${paint("stroke", this.strokeStyle)} stroke-width="${rounded(this.lineWidth * scale)}"${dash}${ends}${joins}${this.#opacityAttribute()}${this.#clipAttribute()}/>`);
  }

  clearRect() {}

  fillRect(x, y, width, height) {
    this.beginPath();
    this.rect(x, y, width, height);
    this.fill();
  }

  strokeRect(x, y, width, height) {
    this.beginPath();
    this.rect(x, y, width, height);
    this.stroke();
  }

  // Text

  measureText(text) {
    this.#ruler.font = this.font;
    return this.#ruler.measureText(text);
  }

  fillText(text, x, y) {
    if (!finite(x, y)) return;
    const [, style, weight, size, family] = FONT.exec(this.font) ?? [null, null, null, "10", "sans-serif"];
    const shift = BASELINE_SHIFT_EM[this.textBaseline] ?? 0;
    const fontStyle = `${style && style !== "normal" ? ` font-style="${style}"` : ""}${weight && weight !== "normal" ? ` font-weight="${weight}"` : ""}`;
    this.#parts.push(
      `<g${this.#clipAttribute()}><text transform="matrix(${this.#matrix.map(rounded).join(" ")})" x="${rounded(x)}" y="${rounded(y + shift * Number(size))}" text-anchor="${ANCHOR[this.textAlign] ?? "start"}" font-family="${escape(family)}, sans-serif" font-size="${size}"${fontStyle} ${paint("fill", this.fillStyle)}${this.#opacityAttribute()}>${escape(text)}</text></g>`,
    );
  }

  strokeText() {}
}
