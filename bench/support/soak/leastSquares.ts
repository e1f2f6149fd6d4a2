/** A straight line through points. */

export interface Line {
  readonly slope: number;
  /** Of the slope, from what the points are off the line. */
  readonly standardError: number;
}

/** Null for fewer than three points. */
export function leastSquares(points: readonly (readonly [x: number, y: number])[]): Line | null {
  const { length } = points;
  if (length < 3) return null;
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const off = points.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  return { slope, standardError: Math.sqrt(off / (length - 2) / spread) };
}
