/**
 * A scene: what a picture shows, as coloured outlines from back to front, before any style has touched it.
 * Subjects (scenes/) make scenes, styles (styles/) paint them; neither knows the other.
 */
import type { Random } from '../random.ts';
import { type Colour, css, mix, type Palette } from './colour.ts';

/** The side of the square a scene is laid out on; points run from 0 to it, y downward. */
export const SIDE = 512;

export type Point = readonly [number, number];

export interface Shape {
  readonly outline: readonly Point[];
  readonly colour: Colour;
  /** 0 is the horizon, 1 the foreground: styles blur, haze, shade and cast shadows by it. */
  readonly depth: number;
}

export interface Scene {
  /** The backdrop's colours, top and bottom. */
  readonly backdrop: readonly [Colour, Colour];
  /** Back to front. */
  readonly shapes: readonly Shape[];
}

/** How much there is to see: few large shapes, some, or many small ones. */
export type Detail = 'sparse' | 'moderate' | 'rich';

/** Where a scene puts its subject, and how large. */
export interface Frame {
  /** The subject's middle, as a share of the width. */
  readonly focus: number;
  /** The horizon, as a share of the height from the top. */
  readonly horizon: number;
  /** The subject's size: 1 fills about half of the picture. */
  readonly scale: number;
}

/** What a subject is asked to draw. */
export interface Brief {
  readonly palette: Palette;
  readonly frame: Frame;
  readonly detail: Detail;
  readonly random: Random;
}

/** `few`, `some` or `many` of a thing, by the detail asked for. */
export function count(detail: Detail, few: number, some: number, many: number): number {
  return detail === 'sparse' ? few : detail === 'moderate' ? some : many;
}

export function polygon(colour: Colour, depth: number, ...outline: Point[]): Shape {
  return { outline, colour, depth };
}

export function rectangle(x: number, y: number, width: number, height: number, colour: Colour, depth: number): Shape {
  return polygon(colour, depth, [x, y], [x + width, y], [x + width, y + height], [x, y + height]);
}

/** An ellipse, or an arc of it closed by its chord; angles in turns, clockwise from the right. */
export function ellipse(
  x: number,
  y: number,
  radiusX: number,
  radiusY: number,
  colour: Colour,
  depth: number,
  arc: { from?: number; to?: number; tilt?: number } = {},
): Shape {
  const { from = 0, to = 1, tilt = 0 } = arc;
  const steps = Math.max(10, Math.round(Math.sqrt(Math.max(radiusX, radiusY)) * 5 * (to - from)));
  const cosine = Math.cos(tilt * 2 * Math.PI);
  const sine = Math.sin(tilt * 2 * Math.PI);
  const outline: Point[] = [];
  for (let step = 0; step <= steps; step++) {
    const angle = (from + ((to - from) * step) / steps) * 2 * Math.PI;
    const dx = Math.cos(angle) * radiusX;
    const dy = Math.sin(angle) * radiusY;
    outline.push([x + dx * cosine - dy * sine, y + dx * sine + dy * cosine]);
  }
  return { outline, colour, depth };
}

/** A line of a given width through points, as an outline; it narrows to `taper` of its width at its end. */
export function ribbon(points: readonly Point[], width: number, colour: Colour, depth: number, taper = 1): Shape {
  const left: Point[] = [];
  const right: Point[] = [];
  points.forEach(([x, y], index) => {
    const [fromX, fromY] = points[Math.max(0, index - 1)]!;
    const [toX, toY] = points[Math.min(points.length - 1, index + 1)]!;
    const length = Math.hypot(toX - fromX, toY - fromY) || 1;
    const half = (width / 2) * (1 + (taper - 1) * (index / Math.max(1, points.length - 1)));
    const dx = (-(toY - fromY) / length) * half;
    const dy = ((toX - fromX) / length) * half;
    left.push([x + dx, y + dy]);
    right.unshift([x - dx, y - dy]);
  });
  return { outline: [...left, ...right], colour, depth };
}

/** A smooth closed outline through points (Catmull–Rom), `steps` points to each side. */
export function smooth(points: readonly Point[], steps = 6): Point[] {
  const at = (index: number): Point => points[(index + points.length) % points.length]!;
  const outline: Point[] = [];
  for (let i = 0; i < points.length; i++) {
    const [a, b, c, d] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
    for (let step = 0; step < steps; step++) {
      const t = step / steps;
      outline.push([spline(a[0], b[0], c[0], d[0], t), spline(a[1], b[1], c[1], d[1], t)]);
    }
  }
  return outline;
}

function spline(a: number, b: number, c: number, d: number, t: number): number {
  return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t);
}

/**
 * Land from a skyline down to the bottom edge. The skyline is a random walk by midpoint displacement.
 * @param height where the skyline lies on average, in scene units from the top
 * @param relief how far it rises and falls
 * @param roughness 0.4 (rolling hills) to 0.7 (crags)
 */
export function ridge(
  random: Random,
  height: number,
  relief: number,
  roughness: number,
  colour: Colour,
  depth: number,
): Shape {
  const heights = new Array<number>(65).fill(0);
  heights[0] = random.between(-relief, relief) / 2;
  heights[64] = random.between(-relief, relief) / 2;
  let spread = relief;
  for (let step = 64; step > 1; step /= 2) {
    for (let at = step / 2; at < 64; at += step) {
      heights[at] = (heights[at - step / 2]! + heights[at + step / 2]!) / 2 + random.between(-spread, spread);
    }
    spread *= roughness;
  }
  const skyline = heights.map((rise, index): Point => [(index / 64) * SIDE, height + rise]);
  return { outline: [...skyline, [SIDE, SIDE], [0, SIDE]], colour, depth };
}

/** A colour as it looks from afar: mixed with the horizon's. */
export function haze(palette: Palette, colour: Colour, depth: number): Colour {
  return mix(palette.sky[1], colour, 0.35 + 0.65 * depth);
}

/**
 * A scene as SVG: the backdrop's gradient and every outline filled with its colour.
 * @param paint attributes for a shape in place of its plain fill; null leaves the shape out
 */
export function sceneToSvg(scene: Scene, paint: (shape: Shape, index: number) => string | null = plainFill): string {
  const shapes = scene.shapes.map((shape, index) => {
    const attributes = paint(shape, index);
    return attributes === null ? '' : `<path d="${pathOf(shape.outline)}" ${attributes}/>`;
  });
  return svgDocument(
    `<defs><linearGradient id="backdrop" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${css(scene.backdrop[0])}"/><stop offset="1" stop-color="${css(scene.backdrop[1])}"/></linearGradient></defs>` +
      `<rect width="${SIDE}" height="${SIDE}" fill="url(#backdrop)"/>${shapes.join('')}`,
  );
}

export function svgDocument(content: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIDE} ${SIDE}" width="${SIDE}" height="${SIDE}">${content}</svg>`;
}

export function pathOf(outline: readonly Point[]): string {
  return `M${outline.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')}Z`;
}

function plainFill(shape: Shape): string {
  return `fill="${css(shape.colour)}"`;
}
