// A drawing context that writes SVG: what Chart.js and our plugins call, and no more. A chart drawn on it is a vector
// picture with the same layout, because text is measured with a real context.
//
// Four traps are met here. Lines are stroked through a cached Path2D, which cannot be read back: give line datasets
// `segment: {}`, and a path as an argument raises. A clip on an element that is turned is turned with it: text is clipped by
// a group around it. Paths are written in final coordinates, so widths and dashes are scaled with them.

const TURN = 2 * Math.PI;
const ANCHOR = { left: "start", start: "start", center: "middle", right: "end", end: "end" };
const LOWERED_EM = { top: 0.78, hanging: 0.78, middle: 0.36, bottom: -0.22, ideographic: -0.22, alphabetic: 0 };
const FONT = /(?:(italic|oblique|normal)\s+)?(?:(\d{3}|bold|normal)\s+)?([\d.]+)px(?:\/\S+)?\s+(.+)/;

const finite = (...values) => values.every(Number.isFinite);
const short = (value) => String(Math.round(value * 100) / 100);
const escape = (words) => String(words).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

function multiply([a, b, c, d, e, f], [g, h, i, j, k, l]) {
  return [a * g + c * h, b * g + d * h, a * i + c * j, b * i + d * j, a * k + c * l + e, b * k + d * l + f];
}

// A colour with its alpha apart: other programs than browsers do not read rgba().
function paint(name, value) {
  const found = /rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)(?:[, /]+([\d.]+))?\)/.exec(value);
  if (!found) return value === "transparent" ? `${name}="none"` : `${name}="${escape(value)}"`;
  const [, red, green, blue, alpha] = found;
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

  // `top`: pixels above the chart that are drawn beforehand. `ruler`: a real 2d context that measures text.
  constructor(width, height, ruler, top = 0) {
    this.canvas = { width, height: height - top, getContext: () => this };
    this.width = width;
    this.height = height;
    this.#ruler = ruler;
    this.#base = [1, 0, 0, 1, 0, 0];
    this.#matrix = this.#base;
    this.top = top;
  }

  // From here on everything is drawn below the head.
  beginChart() {
    this.#base = [1, 0, 0, 1, 0, this.top];
    this.#matrix = this.#base;
  }

  toString(title, description) {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}"><title>${escape(title)}</title><desc>${escape(description)}</desc>${this.#parts.join("")}</svg>`;
  }

  // State

  static #kept = ["fillStyle", "strokeStyle", "lineWidth", "lineCap", "lineJoin", "lineDashOffset", "font", "textAlign", "textBaseline", "globalAlpha"];

  save() {
    const styles = Object.fromEntries(SvgContext.#kept.map((name) => [name, this[name]]));
    this.#stack.push({ styles, matrix: this.#matrix, clip: this.#clip, dash: this.#dash });
  }

  restore() {
    const found = this.#stack.pop();
    if (!found) return;
    Object.assign(this, found.styles);
    this.#matrix = found.matrix;
    this.#clip = found.clip;
    this.#dash = found.dash;
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

  setTransform(...given) {
    this.#matrix = multiply(this.#base, given.length === 6 ? given : [1, 0, 0, 1, 0, 0]);
  }

  resetTransform() {
    this.#matrix = this.#base;
  }

  setLineDash(dash) {
    this.#dash = [...dash];
  }

  getLineDash() {
    return [...this.#dash];
  }

  // Paths, in final coordinates. What is not finite is passed over, as a canvas does: gaps in stacked areas make such calls.

  #at(x, y) {
    const [a, b, c, d, e, f] = this.#matrix;
    return `${short(a * x + c * y + e)} ${short(b * x + d * y + f)}`;
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
    this.#path += `M${this.#at(x, y)}`;
  }

  lineTo(x, y) {
    if (!finite(x, y)) return;
    this.#path += `${this.#path ? "L" : "M"}${this.#at(x, y)}`;
  }

  bezierCurveTo(x1, y1, x2, y2, x, y) {
    if (!finite(x1, y1, x2, y2, x, y)) return;
    this.#path += `C${this.#at(x1, y1)} ${this.#at(x2, y2)} ${this.#at(x, y)}`;
  }

  rect(x, y, width, height) {
    if (!finite(x, y, width, height)) return;
    this.#path += `M${this.#at(x, y)}L${this.#at(x + width, y)}L${this.#at(x + width, y + height)}L${this.#at(x, y + height)}Z`;
  }

  arc(x, y, radius, start, end, backwards = false) {
    if (!finite(x, y, radius, start, end)) return;
    let sweep = backwards ? start - end : end - start;
    if (sweep >= TURN) sweep = TURN;
    else sweep = ((sweep % TURN) + TURN) % TURN;
    const sign = backwards ? -1 : 1;
    const point = (angle) => [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
    this.lineTo(...point(start));
    // Halves, because an arc of a whole turn begins where it ends.
    const halves = sweep > Math.PI ? 2 : 1;
    for (let half = 1; half <= halves && sweep > 0; half += 1) {
      const r = short(radius * this.#scale);
      this.#path += `A${r} ${r} 0 0 ${backwards ? 0 : 1} ${this.#at(...point(start + (sign * sweep * half) / halves))}`;
    }
  }

  clip() {
    this.#clips += 1;
    const id = `clip${this.#clips}`;
    this.#parts.push(`<clipPath id="${id}"${this.#clipped()}><path d="${this.#path}"/></clipPath>`);
    this.#clip = id;
  }

  #clipped() {
    return this.#clip ? ` clip-path="url(#${this.#clip})"` : "";
  }

  #faded() {
    return this.globalAlpha < 1 ? ` opacity="${short(this.globalAlpha)}"` : "";
  }

  fill(path) {
    if (typeof path === "object") throw new TypeError("A Path2D cannot be written as SVG.");
    if (this.#path && this.fillStyle) this.#parts.push(`<path d="${this.#path}" ${paint("fill", this.fillStyle)}${this.#faded()}${this.#clipped()}/>`);
  }

  stroke(path) {
    if (typeof path === "object") throw new TypeError("A Path2D cannot be written as SVG: give line datasets `segment: {}`.");
    if (!this.#path || !(this.lineWidth > 0)) return;
    const scale = this.#scale;
    const dash = this.#dash.length ? ` stroke-dasharray="${this.#dash.map((one) => short(one * scale)).join(" ")}"` : "";
    const ends = this.lineCap === "butt" ? "" : ` stroke-linecap="${this.lineCap}"`;
    const joins = this.lineJoin === "miter" ? "" : ` stroke-linejoin="${this.lineJoin}"`;
    this.#parts.push(`<path d="${this.#path}" fill="none" ${paint("stroke", this.strokeStyle)} stroke-width="${short(this.lineWidth * scale)}"${dash}${ends}${joins}${this.#faded()}${this.#clipped()}/>`);
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

  measureText(words) {
    this.#ruler.font = this.font;
    return this.#ruler.measureText(words);
  }

  fillText(words, x, y) {
    if (!finite(x, y)) return;
    const [, style, weight, size, family] = FONT.exec(this.font) ?? [null, null, null, "10", "sans-serif"];
    const lowered = LOWERED_EM[this.textBaseline] ?? 0;
    const look = `${style && style !== "normal" ? ` font-style="${style}"` : ""}${weight && weight !== "normal" ? ` font-weight="${weight}"` : ""}`;
    this.#parts.push(
      `<g${this.#clipped()}><text transform="matrix(${this.#matrix.map(short).join(" ")})" x="${short(x)}" y="${short(y + lowered * Number(size))}" text-anchor="${ANCHOR[this.textAlign] ?? "start"}" font-family="${escape(family)}, sans-serif" font-size="${size}"${look} ${paint("fill", this.fillStyle)}${this.#faded()}>${escape(words)}</text></g>`,
    );
  }

  strokeText() {}
}
