/**
 * Colours and the palettes pictures are painted in. A palette says what a colour is for (sky, far, near, accents), so
 * that any subject can be painted in any of them. Knows nothing of shapes.
 */

/** Red, green and blue, each 0 to 255, sRGB. */
export type Colour = readonly [number, number, number];

export interface Palette {
  /** As a prompt says it. */
  readonly words: string;
  /** The sky from its top to the horizon. */
  readonly sky: readonly [Colour, Colour];
  /** The ground from far to near. */
  readonly ground: readonly [Colour, Colour, Colour];
  readonly accents: readonly [Colour, Colour, Colour];
  readonly dark: Colour;
  readonly light: Colour;
}

export const PALETTES = {
  autumn: palette(
    'warm autumn colours',
    '#f6d9a8 #f2b880',
    '#c9793f #a4502a #5c2f1f',
    '#d9482b #f0a63a #7a3b2e',
    '#2e1a14 #fff3da',
  ),
  glacier: palette(
    'cold blues',
    '#a9cfe8 #e6f2f7',
    '#8fb3cd #4f7fa3 #22486b',
    '#f4f9fb #6fb7d6 #183a5a',
    '#0d2238 #f7fcff',
  ),
  pastel: palette(
    'pastel colours',
    '#cfe3f7 #fbe3ea',
    '#d9cdea #b9d8c9 #94b8c4',
    '#f7b7c5 #ffe0a8 #a6d6c2',
    '#5c5b7a #fffaf5',
  ),
  neon: palette(
    'neon pink and cyan',
    '#160b3a #5a1a7c',
    '#3a1a78 #24104f #120730',
    '#ff3fa4 #27e0f0 #ffd23f',
    '#07031a #f8f0ff',
  ),
  earth: palette(
    'muted earth tones',
    '#e4d9c4 #d9c3a0',
    '#b39b78 #8a7351 #55452f',
    '#a8572f #6c7a4a #d9b26a',
    '#2a2118 #f5ecdc',
  ),
  forest: palette(
    'deep greens',
    '#d5e4cf #eef0d6',
    '#9ab98a #4f7f4f #1f4a33',
    '#e9c46a #c65d3b #86a873',
    '#10271c #f6f7e4',
  ),
  monochrome: palette(
    'black and white',
    '#e9e9e9 #fafafa',
    '#b9b9b9 #7b7b7b #3a3a3a',
    '#111111 #8d8d8d #d0d0d0',
    '#0b0b0b #ffffff',
  ),
  crimson: palette(
    'red, black and cream',
    '#f4e6cf #efcfa9',
    '#b4423a #7d1f24 #2d1416',
    '#d6262c #e8b45a #4a1418',
    '#170a0b #fdf3e2',
  ),
  tealOrange: palette(
    'teal and orange',
    '#12586b #f2a25c',
    '#2f8290 #17596a #0b3241',
    '#ff8a3c #ffd08a #38b2ac',
    '#06202a #fff0dc',
  ),
  candy: palette(
    'candy colours',
    '#ffd1ec #fff2b8',
    '#ff9fc6 #a58bf0 #5fc9e0',
    '#ff5d8f #ffd447 #4cc38a',
    '#40265f #fffdf6',
  ),
  amber: palette(
    'deep indigo and amber',
    '#1b1f52 #e79a45',
    '#4a3f7a #2b2a5c #141438',
    '#ffb547 #f26b4e #8f83d8',
    '#0a0a22 #ffecc7',
  ),
  rose: palette(
    'desert rose and sage',
    '#f7dcd0 #f3b9a2',
    '#d68f7c #a9615a #6b3f48',
    '#8fa68a #f0d9b5 #c9404f',
    '#33202a #fff5ec',
  ),
} as const satisfies Record<string, Palette>;

export type PaletteName = keyof typeof PALETTES;

export function mix(from: Colour, to: Colour, share: number): Colour {
  return [
    from[0] + (to[0] - from[0]) * share,
    from[1] + (to[1] - from[1]) * share,
    from[2] + (to[2] - from[2]) * share,
  ];
}

/** Perceived lightness of a colour, 0 (black) to 1 (white), by the luma weights of Rec. 601. */
export function lightness(red: number, green: number, blue: number): number {
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}

/** A colour as CSS and SVG write it. */
export function css(colour: Colour): string {
  return `#${colour
    .map((channel) =>
      Math.max(0, Math.min(255, Math.round(channel)))
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}

function palette(words: string, sky: string, ground: string, accents: string, darkAndLight: string): Palette {
  const [top, horizon] = colours(sky) as [Colour, Colour];
  const [far, middle, near] = colours(ground) as [Colour, Colour, Colour];
  const [first, second, third] = colours(accents) as [Colour, Colour, Colour];
  const [dark, light] = colours(darkAndLight) as [Colour, Colour];
  return { words, sky: [top, horizon], ground: [far, middle, near], accents: [first, second, third], dark, light };
}

function colours(list: string): Colour[] {
  return list
    .split(' ')
    .map((hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Colour);
}
