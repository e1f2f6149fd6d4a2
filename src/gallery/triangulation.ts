/** Delaunay triangulation of points in the plane, by Bowyer and Watson's insertion. */
import type { Point } from './scene.ts';

interface Triangle {
  readonly corners: readonly [number, number, number];
  /** Of the circumscribed circle: its centre and squared radius. */
  readonly x: number;
  readonly y: number;
  readonly radiusSquared: number;
}

/** Triangles as triples of indices into `points`. Takes time in the square of the points: meant for some hundreds. */
export function triangulate(points: readonly Point[]): [number, number, number][] {
  const far = 1e5;
  const all: Point[] = [...points, [-far, -far], [far, -far], [0, far]];
  const outer = points.length;
  let triangles: Triangle[] = [circumscribed(all, outer, outer + 1, outer + 2)];
  for (let point = 0; point < outer; point++) {
    const [x, y] = all[point]!;
    const kept: Triangle[] = [];
    const edges = new Map<string, [number, number]>();
    for (const triangle of triangles) {
      if ((triangle.x - x) ** 2 + (triangle.y - y) ** 2 >= triangle.radiusSquared) {
        kept.push(triangle);
        continue;
      }
      const [a, b, c] = triangle.corners;
      for (const [from, to] of [
        [a, b],
        [b, c],
        [c, a],
      ] as const) {
        const opposite = `${to},${from}`;
        if (edges.has(opposite)) edges.delete(opposite);
        else edges.set(`${from},${to}`, [from, to]);
      }
    }
    for (const [from, to] of edges.values()) kept.push(circumscribed(all, from, to, point));
    triangles = kept;
  }
  return triangles
    .filter(({ corners }) => corners.every((corner) => corner < outer))
    .map(({ corners }) => [...corners]);
}

function circumscribed(points: readonly Point[], a: number, b: number, c: number): Triangle {
  const [ax, ay] = points[a]!;
  const [bx, by] = [points[b]![0] - ax, points[b]![1] - ay];
  const [cx, cy] = [points[c]![0] - ax, points[c]![1] - ay];
  const twiceArea = 2 * (bx * cy - by * cx) || 1e-9;
  const [bSquared, cSquared] = [bx * bx + by * by, cx * cx + cy * cy];
  const x = (cy * bSquared - by * cSquared) / twiceArea;
  const y = (bx * cSquared - cx * bSquared) / twiceArea;
  return { corners: [a, b, c], x: ax + x, y: ay + y, radiusSquared: x * x + y * y };
}
