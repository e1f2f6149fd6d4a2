/** Scenes close at hand: flowers in a vase, fruit on a table, a sunflower field. */
import { type Colour, mix } from '../colour.ts';
import {
  type Brief,
  count,
  ellipse,
  haze,
  type Point,
  polygon,
  rectangle,
  ribbon,
  ridge,
  type Scene,
  type Shape,
  SIDE,
  smooth,
} from '../scene.ts';

/** Blossoms of several kinds in a vase on a table. */
export function bouquet(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const x = SIDE * (0.5 + (frame.focus - 0.5) * 0.6);
  const size = 120 + 70 * frame.scale;
  const table = SIDE * 0.78;
  const shapes = tableTop(brief, table);
  const neck = table + 26 - size;
  const stems = count(detail, 5, 10, 18);
  const blossoms: Shape[] = [];
  for (let stem = 0; stem < stems; stem++) {
    const angle = -Math.PI / 2 + ((stem + 0.5) / stems - 0.5) * 2.5 + random.between(-0.1, 0.1);
    const reach = size * random.between(0.55, 1.2);
    const tip: Point = [x + Math.cos(angle) * reach * 0.9, neck + Math.sin(angle) * reach];
    const middle: Point = [x + Math.cos(angle) * reach * 0.3, neck + Math.sin(angle) * reach * 0.6];
    shapes.push(ribbon([[x, neck + 20], middle, tip], 4, mix(palette.ground[2], palette.accents[2], 0.4), 0.7));
    if (stem % 2 === 0)
      shapes.push(
        leaf(
          middle[0],
          middle[1],
          size * 0.26,
          angle + random.between(-0.8, 0.8),
          mix(palette.ground[1], palette.accents[2], 0.5),
        ),
      );
    blossoms.push(
      ...blossom(brief, tip[0], tip[1], size * random.between(0.15, 0.27), palette.accents[random.int(3)]!, 0.85),
    );
  }
  const glass = mix(palette.ground[0], palette.light, 0.3);
  shapes.push({
    outline: smooth([
      [x - size * 0.17, neck],
      [x + size * 0.17, neck],
      [x + size * 0.15, neck + size * 0.25],
      [x + size * 0.38, neck + size * 0.65],
      [x + size * 0.22, neck + size],
      [x - size * 0.22, neck + size],
      [x - size * 0.38, neck + size * 0.65],
      [x - size * 0.15, neck + size * 0.25],
    ]),
    colour: glass,
    depth: 0.8,
  });
  shapes.push({
    outline: smooth([
      [x + size * 0.06, neck + 6],
      [x + size * 0.15, neck + size * 0.25],
      [x + size * 0.36, neck + size * 0.65],
      [x + size * 0.2, neck + size * 0.97],
      [x + size * 0.14, neck + size * 0.6],
    ]),
    colour: mix(glass, palette.dark, 0.3),
    depth: 0.8,
  });
  return { backdrop: wall(brief), shapes: [...shapes, ...blossoms] };
}

/** A bowl and fruit on a table. */
export function fruit(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const x = SIDE * (0.5 + (frame.focus - 0.5) * 0.5);
  const size = 110 + 70 * frame.scale;
  const table = SIDE * 0.64;
  const shapes = tableTop(brief, table);
  const base = table + 90;
  const pieces = count(detail, 3, 6, 9);
  for (let piece = 0; piece < pieces; piece++) {
    const along = (piece + 0.5) / pieces - 0.5;
    shapes.push(
      ...roundFruit(
        brief,
        x + along * size * 1.5,
        base - size * 0.78 - Math.cos(along * 3) * size * 0.16 + (piece % 2) * 12,
        size * 0.27,
        palette.accents[piece % 3]!,
      ),
    );
  }
  const bowl = mix(palette.ground[1], palette.light, 0.25);
  shapes.push(ellipse(x, base - size * 0.6, size, size * 0.66, bowl, 0.8, { from: 0, to: 0.5 }));
  shapes.push(
    polygon(
      bowl,
      0.8,
      [x - size * 0.35, base - size * 0.02],
      [x + size * 0.35, base - size * 0.02],
      [x + size * 0.42, base + 12],
      [x - size * 0.42, base + 12],
    ),
  );
  shapes.push(
    ellipse(x, base - size * 0.6, size, size * 0.66, mix(bowl, palette.dark, 0.3), 0.8, { from: 0, to: 0.17 }),
  );
  for (let stray = 0; stray < count(detail, 1, 2, 4); stray++) {
    const side = stray % 2 === 0 ? 1 : -1;
    const strayX = x + side * size * random.between(1.05, 1.35);
    shapes.push(
      ellipse(
        strayX + 8,
        base + 34 + stray * 10,
        size * 0.3,
        size * 0.07,
        mix(palette.ground[2], palette.dark, 0.4),
        0.9,
      ),
    );
    shapes.push(...roundFruit(brief, strayX, base + 14 + stray * 10, size * 0.26, palette.accents[(stray + 1) % 3]!));
  }
  return { backdrop: wall(brief), shapes };
}

function roundFruit({ palette }: Brief, x: number, y: number, radius: number, colour: Colour): Shape[] {
  return [
    ellipse(x, y, radius, radius * 0.95, mix(colour, palette.dark, 0.35), 0.75),
    ellipse(x - radius * 0.1, y - radius * 0.1, radius * 0.86, radius * 0.82, colour, 0.75),
    ellipse(x - radius * 0.36, y - radius * 0.4, radius * 0.24, radius * 0.16, mix(colour, palette.light, 0.7), 0.75, {
      tilt: -0.1,
    }),
    ribbon(
      [
        [x, y - radius * 0.85],
        [x + radius * 0.12, y - radius * 1.25],
      ],
      radius * 0.1,
      palette.dark,
      0.75,
    ),
    leaf(x + radius * 0.12, y - radius * 1.15, radius * 0.6, -0.4, mix(palette.ground[1], palette.accents[2], 0.5)),
  ];
}

/** Large flowers on stalks before rolling land. */
export function flowerField(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const horizon = frame.horizon * SIDE;
  const shapes: Shape[] = [];
  shapes.push(ridge(random, horizon, 34, 0.45, haze(palette, palette.ground[0], 0.3), 0.2));
  shapes.push(ridge(random, horizon + 50, 22, 0.45, haze(palette, palette.ground[1], 0.6), 0.4));
  const rows = count(detail, 2, 3, 5);
  for (let row = 0; row < rows; row++) {
    const depth = 0.4 + (0.6 * (row + 1)) / rows;
    const flowers = Math.round(count(detail, 3, 6, 9) / (0.4 + depth * 0.7));
    for (let flower = 0; flower < flowers; flower++) {
      const x = ((flower + random.between(0.2, 0.8)) / flowers) * SIDE;
      const y = horizon + (SIDE - horizon) * depth * 0.75 - random.between(0, 60) * frame.scale;
      const radius = (14 + 34 * depth) * (0.45 + 0.6 * frame.scale) * random.between(0.8, 1.15);
      shapes.push(
        ribbon(
          [
            [x, y],
            [x + random.between(-10, 10), (y + SIDE) / 2],
            [x + random.between(-14, 14), SIDE + 10],
          ],
          radius * 0.16,
          mix(palette.ground[2], palette.accents[2], 0.3),
          depth,
        ),
      );
      shapes.push(
        leaf(
          x,
          y + radius * 2.2,
          radius * 1.1,
          random.uniform() < 0.5 ? -0.5 : Math.PI + 0.5,
          mix(palette.ground[1], palette.accents[2], 0.4),
        ),
      );
      shapes.push(...blossom(brief, x, y, radius, palette.accents[(row + flower) % 2 === 0 ? 0 : 1]!, depth));
    }
  }
  return { backdrop: palette.sky, shapes };
}

/** A flower seen from the front: two rings of petals and a heart. */
function blossom(
  { palette, random }: Brief,
  x: number,
  y: number,
  radius: number,
  colour: Colour,
  depth: number,
): Shape[] {
  const petals = 5 + random.int(5);
  const turn = random.uniform();
  const shapes: Shape[] = [];
  for (const [reach, tone] of [
    [1, 0.22],
    [0.68, 0],
  ] as const) {
    for (let petal = 0; petal < petals; petal++) {
      const tilt = turn + (petal + (tone === 0 ? 0.5 : 0)) / petals;
      const angle = tilt * 2 * Math.PI;
      shapes.push(
        ellipse(
          x + Math.cos(angle) * radius * reach * 0.55,
          y + Math.sin(angle) * radius * reach * 0.55,
          radius * reach * 0.5,
          radius * reach * 0.26,
          mix(colour, palette.dark, tone + (petal % 2) * 0.06),
          depth,
          { tilt },
        ),
      );
    }
  }
  shapes.push(ellipse(x, y, radius * 0.26, radius * 0.26, mix(palette.accents[1], palette.dark, 0.5), depth));
  return shapes;
}

function leaf(x: number, y: number, length: number, angle: number, colour: Colour): Shape {
  return ellipse(
    x + (Math.cos(angle) * length) / 2,
    y + (Math.sin(angle) * length) / 2,
    length / 2,
    length / 6,
    colour,
    0.7,
    { tilt: angle / (2 * Math.PI) },
  );
}

function tableTop({ palette }: Brief, y: number): Shape[] {
  return [
    rectangle(0, y, SIDE, SIDE - y, palette.ground[2], 0.5),
    rectangle(0, y, SIDE, 7, mix(palette.ground[2], palette.light, 0.3), 0.5),
  ];
}

function wall({ palette }: Brief): readonly [Colour, Colour] {
  return [mix(palette.sky[0], palette.ground[0], 0.35), palette.sky[1]];
}
