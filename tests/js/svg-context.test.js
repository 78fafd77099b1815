import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { SvgContext } from "../../dashboard/static/dashboard/js/charts/svg-context.js";

const ruler = { font: "", measureText: (text) => ({ width: text.length }) };
const drawn = (draw, top = 0) => {
  const ctx = new SvgContext(200, 100, ruler, top);
  draw(ctx);
  return ctx.toString("t", "d").replace(/^<svg.*<\/desc>|<\/svg>$/g, "");
};

describe("A chart written as SVG", () => {
  it("refuses a Path2D, which cannot be read back, instead of leaving the line out", () => {
    assert.throws(() => drawn((ctx) => ctx.stroke({})), /segment/);
    assert.throws(() => drawn((ctx) => ctx.fill({})), /Path2D/);
  });

  it("clips rotated text from outside, where its turned space does not matter", () => {
    const text = drawn((ctx) => {
      ctx.beginPath();
      ctx.rect(0, 0, 50, 50);
      ctx.clip();
      ctx.rotate(-Math.PI / 4);
      ctx.fillText("12:00", 10, 10);
    });
    assert.match(text, /<g clip-path="url\(#clip1\)"><text transform="matrix\(/);
  });

  it("has final coordinates and line widths", () => {
    const line = drawn((ctx) => {
      ctx.translate(10, 20);
      ctx.scale(2, 2);
      ctx.lineWidth = 1.5;
      ctx.setLineDash([4, 2]);
      ctx.beginPath();
      ctx.moveTo(1, 1);
      ctx.lineTo(5, 1);
      ctx.stroke();
    });
    assert.match(line, /d="M12 22L20 22"/);
    assert.match(line, /stroke-width="3"/);
    assert.match(line, /stroke-dasharray="8 4"/);
    assert.doesNotMatch(line, /transform/);
  });

  it("measures text with the font that it is drawn in", () => {
    const ctx = new SvgContext(10, 10, ruler);
    ctx.font = "600 12px Inter";
    assert.equal(ctx.measureText("abc").width, 3);
    assert.equal(ruler.font, "600 12px Inter");
  });

  it("keeps below the head, also after the matrix is set", () => {
    const box = drawn((ctx) => {
      ctx.beginChart();
      ctx.setTransform(1, 0, 0, 1, 5, 0);
      ctx.fillRect(0, 0, 1, 1);
      ctx.resetTransform();
      ctx.fillRect(0, 0, 1, 1);
    }, 30);
    assert.match(box, /d="M5 30L.*d="M0 30L/);
  });

  it("restores what was saved", () => {
    const boxes = drawn((ctx) => {
      ctx.save();
      ctx.fillStyle = "rgba(1, 2, 3, 0.5)";
      ctx.translate(9, 9);
      ctx.restore();
      ctx.restore(); // one too many is ignored, as on a canvas
      ctx.fillRect(0, 0, 1, 1);
    });
    assert.match(boxes, /M0 0L.*fill="#000000"/);
  });

  it("writes alpha as an attribute that every program reads", () => {
    const box = drawn((ctx) => {
      ctx.fillStyle = "rgba(1, 2, 3, 0.5)";
      ctx.fillRect(0, 0, 1, 1);
    });
    assert.match(box, /fill="rgb\(1,2,3\)" fill-opacity="0.5"/);
  });

  it("ignores points that are not finite, and draws a full circle", () => {
    const shapes = drawn((ctx) => {
      ctx.beginPath();
      ctx.moveTo(NaN, 1);
      ctx.lineTo(1, Infinity);
      ctx.arc(10, 10, 5, 0, 2 * Math.PI);
      ctx.fill();
    });
    assert.doesNotMatch(shapes, /NaN|Infinity/);
    assert.equal(shapes.match(/A5 5/g).length, 2);
  });

  it("shows outside text as text", () => {
    const label = "<img src=x onerror=alert(1)>";
    const ctx = new SvgContext(10, 10, ruler);
    ctx.fillText(label, 0, 0);
    const text = ctx.toString(label, label);
    assert.doesNotMatch(text, /<img/);
    assert.equal(text.match(/&lt;img/g).length, 3);
  });
});
