/** Scenes of open land and water: mountains, dunes, forest, sea. */
import { mix } from '../colour.ts';
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
} from '../scene.ts';

/** Ranges of mountains behind a lake that mirrors the light. */
export function mountains(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const horizon = frame.horizon * SIDE;
  const shapes: Shape[] = [sun(brief, horizon * random.between(0.35, 0.6), 26 + 30 * frame.scale)];
  const ranges = count(detail, 2, 3, 4);
  for (let range = 0; range < ranges; range++) {
    const depth = (range / ranges) * 0.6;
    const colour = haze(palette, mix(palette.ground[0], palette.ground[2], range / ranges), depth);
    const height = horizon - (80 + 90 * frame.scale) * (1 - range / ranges);
    shapes.push(ridge(random, height, 95 * frame.scale + 15, 0.52, colour, depth));
  }
  shapes.push(rectangle(0, horizon, SIDE, SIDE - horizon, mix(palette.sky[1], palette.ground[1], 0.4), 0.65));
  for (let line = 0; line < count(detail, 4, 12, 30); line++) {
    const y = horizon + (SIDE - horizon) * random.uniform() ** 1.5;
    const width = random.between(20, 130);
    shapes.push(
      ellipse(
        random.between(0, SIDE),
        y,
        width,
        1.2 + (y - horizon) * 0.012,
        random.uniform() < 0.5 ? palette.light : palette.ground[0],
        0.7,
      ),
    );
  }
  shapes.push(ridge(random, SIDE - 50, 22, 0.5, palette.ground[2], 1));
  for (let tree = 0; tree < count(detail, 3, 9, 22); tree++) {
    shapes.push(
      ...pine(
        random.between(0, SIDE),
        SIDE - random.between(10, 46),
        random.between(40, 90) * (0.5 + 0.6 * frame.scale),
        mix(palette.dark, palette.ground[2], 0.3),
        1,
      ),
    );
  }
  return { backdrop: palette.sky, shapes };
}

/** Dunes one behind the other, each with a lit and a shaded side. */
export function dunes(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const horizon = frame.horizon * SIDE;
  const shapes: Shape[] = [sun(brief, horizon * 0.55, 40 + 40 * frame.scale)];
  const rows = count(detail, 3, 5, 8);
  for (let row = 0; row < rows; row++) {
    const depth = (row + 1) / rows;
    const base = horizon + (SIDE - horizon) * (row / rows) ** 1.2;
    const lit = haze(palette, mix(palette.ground[0], palette.ground[1], depth), depth);
    const crest = random.between(0.2, 0.8) * SIDE;
    const peak = base - random.between(20, 60) * (0.5 + frame.scale * 0.6);
    const crestLine: Point[] = [];
    for (let step = 0; step <= 20; step++) {
      const x = (step / 20) * SIDE;
      crestLine.push([x, base - (base - peak) * Math.exp(-(((x - crest) / 170) ** 2)) + Math.sin(x / 70 + row) * 5]);
    }
    shapes.push({ outline: [...crestLine, [SIDE, SIDE], [0, SIDE]], colour: lit, depth });
    const shadow = crestLine.filter(([x]) => x >= crest - 10);
    shapes.push({
      outline: [...shadow, [SIDE, SIDE], [crest + 90, SIDE], [crest + 50, base + 40], [crest - 25, base + 12]],
      colour: mix(lit, palette.dark, 0.28),
      depth,
    });
  }
  const caravan = count(detail, 0, 3, 6);
  const ground = horizon + (SIDE - horizon) * 0.28;
  for (let camel = 0; camel < caravan; camel++) {
    const x = frame.focus * SIDE + (camel - caravan / 2) * 30;
    shapes.push(ellipse(x, ground - 13, 9, 6, palette.dark, 0.6), ellipse(x, ground - 19, 4, 4, palette.dark, 0.6));
    shapes.push(
      ribbon(
        [
          [x + 8, ground - 14],
          [x + 12, ground - 24],
          [x + 16, ground - 24],
        ],
        3,
        palette.dark,
        0.6,
      ),
    );
    for (const leg of [-6, -2, 4, 7]) shapes.push(rectangle(x + leg, ground - 10, 1.6, 12, palette.dark, 0.6));
  }
  return { backdrop: palette.sky, shapes };
}

/** Rows of pines in mist, trunks in front. */
export function forest(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const shapes: Shape[] = [sun(brief, SIDE * 0.28, 30 + 36 * frame.scale)];
  const rows = count(detail, 3, 4, 6);
  for (let row = 0; row < rows; row++) {
    const depth = (row + 0.4) / rows;
    const colour = haze(palette, mix(palette.ground[0], palette.ground[2], depth), depth);
    const base = frame.horizon * SIDE + (SIDE - frame.horizon * SIDE) * depth;
    shapes.push(ridge(random, base, 14, 0.5, colour, depth));
    const trees = count(detail, 5, 9, 15) - row;
    for (let tree = 0; tree < trees; tree++) {
      const x = ((tree + random.uniform()) / trees) * SIDE;
      const height = (90 + 200 * depth) * (0.4 + 0.55 * frame.scale) * random.between(0.7, 1.2);
      shapes.push(...pine(x, base + 8, height, mix(colour, palette.dark, random.between(0, 0.25)), depth));
    }
  }
  return { backdrop: palette.sky, shapes };
}

/** A sailing boat on rows of waves. */
export function sea(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const horizon = frame.horizon * SIDE;
  const shapes: Shape[] = [sun(brief, horizon * 0.5, 30 + 30 * frame.scale)];
  for (let cloud = 0; cloud < count(detail, 0, 3, 6); cloud++) {
    const x = random.between(0, SIDE);
    const y = random.between(0.1, 0.7) * horizon;
    for (let puff = 0; puff < 4; puff++) {
      shapes.push(
        ellipse(
          x + puff * 22 - 33,
          y - (puff % 2) * 9,
          random.between(16, 34),
          random.between(8, 14),
          mix(palette.sky[1], palette.light, 0.7),
          0.1,
        ),
      );
    }
  }
  const waves = count(detail, 5, 9, 15);
  const boatRow = Math.floor(waves * 0.4);
  for (let wave = 0; wave < waves; wave++) {
    const depth = (wave + 0.5) / waves;
    if (wave === boatRow) shapes.push(...boat(brief, horizon + (SIDE - horizon) * depth ** 1.3 + 8));
    const y = horizon + (SIDE - horizon) * (wave / waves) ** 1.3;
    const phase = random.between(0, 7);
    const length = 24 + 60 * depth;
    const crests: Point[] = [];
    for (let x = 0; x <= SIDE; x += 8)
      crests.push([x, y + Math.abs(Math.sin(x / length + phase)) * -10 * depth + Math.sin(x / 90 + phase) * 3]);
    const colour = haze(palette, mix(palette.ground[0], palette.ground[2], depth * random.between(0.7, 1.1)), depth);
    shapes.push({
      outline: [...crests, [SIDE, SIDE], [0, SIDE]],
      colour: wave === 0 ? haze(palette, palette.ground[0], 0.3) : colour,
      depth,
    });
  }
  return { backdrop: palette.sky, shapes };
}

function boat({ palette, frame }: Brief, waterline: number): Shape[] {
  const x = frame.focus * SIDE;
  const size = 80 + 150 * frame.scale;
  const at = (dx: number, dy: number): Point => [x + dx * size, waterline + dy * size];
  return [
    polygon(palette.dark, 0.6, at(-0.02, -0.1), at(0.02, -0.1), at(0.02, -1.2), at(-0.02, -1.2)),
    polygon(palette.light, 0.6, at(0.04, -1.15), at(0.3, -0.7), at(0.46, -0.2), at(0.04, -0.2)),
    polygon(palette.accents[0], 0.6, at(-0.04, -1.05), at(-0.22, -0.6), at(-0.38, -0.2), at(-0.04, -0.2)),
    polygon(
      mix(palette.dark, palette.accents[0], 0.35),
      0.6,
      at(-0.45, -0.14),
      at(0.5, -0.14),
      at(0.32, 0.1),
      at(-0.3, 0.1),
    ),
  ];
}

/** The sun or moon of a scene, with a halo. */
export function sun({ palette, frame, random }: Brief, y: number, radius: number): Shape {
  const x = (frame.focus < 0.5 ? random.between(0.6, 0.82) : random.between(0.18, 0.4)) * SIDE;
  return ellipse(x, y, radius, radius, mix(palette.light, palette.accents[1], 0.45), 0);
}

/** A conifer standing on (x, y): a trunk and three skirts, the left of each in shade. */
export function pine(x: number, y: number, height: number, colour: Shape['colour'], depth: number): Shape[] {
  const half = height * 0.2;
  const shade = mix(colour, [0, 0, 0], 0.16);
  const shapes = [rectangle(x - height * 0.02, y - height * 0.12, height * 0.04, height * 0.14, shade, depth)];
  for (let skirt = 0; skirt < 3; skirt++) {
    const bottom = y - height * (0.1 + skirt * 0.25);
    const top = bottom - height * 0.42;
    const width = half * (1 - skirt * 0.26);
    shapes.push(polygon(colour, depth, [x, top], [x + width, bottom], [x, bottom - height * 0.03]));
    shapes.push(polygon(shade, depth, [x, top], [x - width, bottom], [x, bottom - height * 0.03]));
  }
  return shapes;
}
