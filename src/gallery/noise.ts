/**
 * Smooth noise over the plane: what makes edges wobble, pigment settle and paper show its grain.
 */
import type { Random } from '../random.ts';

/** A smooth random height at each point, −1 to 1; about one hill in each unit square. */
export type Noise = (x: number, y: number) => number;

const LATTICE = 64;

/** Value noise (a random lattice, smoothly interpolated) that repeats every 64 units. */
export function valueNoise(random: Random): Noise {
  const heights = new Float32Array(LATTICE * LATTICE);
  for (let i = 0; i < heights.length; i++) heights[i] = random.uniform() * 2 - 1;
  return (x, y) => {
    const column = Math.floor(x);
    const row = Math.floor(y);
    const u = ease(x - column);
    const v = ease(y - row);
    const left = column & (LATTICE - 1);
    const right = (column + 1) & (LATTICE - 1);
    const above = (row & (LATTICE - 1)) * LATTICE;
    const below = ((row + 1) & (LATTICE - 1)) * LATTICE;
    const top = heights[above + left]! * (1 - u) + heights[above + right]! * u;
    const bottom = heights[below + left]! * (1 - u) + heights[below + right]! * u;
    return top * (1 - v) + bottom * v;
  };
}

/** Octaves of one noise laid over each other, each twice as fine and half as high; about −1 to 1. */
export function fractal(noise: Noise, octaves: number): Noise {
  return (x, y) => {
    let sum = 0;
    let height = 0.5;
    let scale = 1;
    for (let octave = 0; octave < octaves; octave++) {
      sum += height * noise(x * scale + octave * 17, y * scale + octave * 31);
      height /= 2;
      scale *= 2;
    }
    return sum;
  };
}

function ease(t: number): number {
  return t * t * (3 - 2 * t);
}
