/** Scenes that people or planets built: a skyline, a lighthouse, a village, balloons, space. */
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
} from '../scene.ts';
import { pine, sun } from './landscapes.ts';

/** Towers in three rows, windows lit. */
export function city(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const shapes: Shape[] = [sun(brief, SIDE * 0.26, 32 + 40 * frame.scale)];
  const rows = count(detail, 2, 3, 3);
  for (let row = 0; row < rows; row++) {
    const depth = (row + 0.5) / rows;
    const colour = haze(palette, mix(palette.ground[0], palette.dark, depth * 0.8), depth);
    let x = random.between(-30, 0);
    while (x < SIDE) {
      const width = random.between(28, 64) * (0.7 + 0.5 * frame.scale);
      const nearFocus = 1 - Math.min(1, Math.abs(x / SIDE - frame.focus) * 1.6);
      const height =
        SIDE * (1.05 - frame.horizon) * random.between(0.5, 0.9) * (1.25 - depth * 0.55) +
        nearFocus * 110 * frame.scale;
      shapes.push(
        ...tower(
          brief,
          x,
          SIDE - height,
          width,
          height,
          mix(colour, palette.accents[2], random.between(0, 0.2)),
          depth,
        ),
      );
      x += width + random.between(-6, 12);
    }
  }
  return { backdrop: palette.sky, shapes };
}

function tower(
  { palette, detail, random }: Brief,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: Colour,
  depth: number,
): Shape[] {
  const shapes = [
    rectangle(x, y, width, height, colour, depth),
    rectangle(x, y, width * 0.28, height, mix(colour, palette.light, 0.14), depth),
  ];
  const roof = random.int(3);
  if (roof === 0) shapes.push(polygon(colour, depth, [x, y + 1], [x + width / 2, y - width * 0.6], [x + width, y + 1]));
  if (roof === 1) shapes.push(rectangle(x + width * 0.45, y - 34, width * 0.08, 36, colour, depth));
  if (detail === 'sparse' || depth < 0.3) return shapes;
  const step = detail === 'rich' ? 13 : 20;
  for (let top = y + 8; top < SIDE - 12; top += step) {
    for (let left = x + 6; left < x + width - 8; left += step * 0.75) {
      if (random.uniform() < 0.42)
        shapes.push(
          rectangle(
            left,
            top,
            step * 0.32,
            step * 0.5,
            random.uniform() < 0.75 ? palette.accents[1] : palette.light,
            depth,
          ),
        );
    }
  }
  return shapes;
}

/** A striped lighthouse on a cliff above the sea. */
export function lighthouse(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const horizon = frame.horizon * SIDE;
  const x = frame.focus * SIDE;
  const size = 150 + 150 * frame.scale;
  const foot = Math.min(SIDE - 60, horizon + 60);
  const top = foot - size;
  const shapes: Shape[] = [sun(brief, horizon * 0.4, 34)];
  const beam = mix(palette.sky[0], palette.accents[1], 0.55);
  shapes.push(
    polygon(
      beam,
      0.1,
      [x, top - size * 0.06],
      [x < SIDE / 2 ? SIDE : 0, top - size * 0.34],
      [x < SIDE / 2 ? SIDE : 0, top + size * 0.12],
    ),
  );
  shapes.push(rectangle(0, horizon, SIDE, SIDE - horizon, haze(palette, palette.ground[1], 0.6), 0.3));
  for (let line = 0; line < count(detail, 5, 16, 36); line++) {
    const y = horizon + 4 + (SIDE - horizon) * random.uniform();
    shapes.push(
      ellipse(random.between(0, SIDE), y, random.between(12, 60), 1.6, mix(palette.ground[0], palette.light, 0.4), 0.4),
    );
  }
  const cliff: Point[] = [
    [x - size * 0.75, SIDE],
    [x - size * 0.55, foot + 46],
    [x - size * 0.3, foot + 6],
    [x, foot - 6],
    [x + size * 0.34, foot + 4],
    [x + size * 0.5, foot + 60],
    [x + size * 0.82, SIDE],
  ];
  shapes.push({ outline: cliff, colour: palette.ground[2], depth: 0.8 });
  shapes.push(
    polygon(
      mix(palette.ground[2], palette.dark, 0.45),
      0.8,
      [x + size * 0.1, foot],
      [x + size * 0.34, foot + 4],
      [x + size * 0.5, foot + 60],
      [x + size * 0.82, SIDE],
      [x + size * 0.2, SIDE],
    ),
  );
  const half = (height: number): number => size * (0.15 - 0.05 * height);
  const bands = count(detail, 3, 5, 7);
  for (let band = 0; band < bands; band++) {
    const [low, high] = [band / bands, (band + 1) / bands];
    const colour = band % 2 === 0 ? palette.accents[0] : palette.light;
    shapes.push(
      polygon(
        colour,
        0.9,
        [x - half(low), foot - low * size],
        [x + half(low), foot - low * size],
        [x + half(high), foot - high * size],
        [x - half(high), foot - high * size],
      ),
    );
    shapes.push(
      polygon(
        mix(colour, palette.dark, 0.3),
        0.9,
        [x + half(low) * 0.3, foot - low * size],
        [x + half(low), foot - low * size],
        [x + half(high), foot - high * size],
        [x + half(high) * 0.3, foot - high * size],
      ),
    );
  }
  shapes.push(rectangle(x - size * 0.13, top - 5, size * 0.26, 8, palette.dark, 0.9));
  shapes.push(rectangle(x - size * 0.07, top - size * 0.13, size * 0.14, size * 0.13, palette.accents[1], 0.9));
  shapes.push(
    polygon(
      palette.dark,
      0.9,
      [x - size * 0.11, top - size * 0.12],
      [x, top - size * 0.24],
      [x + size * 0.11, top - size * 0.12],
    ),
  );
  return { backdrop: palette.sky, shapes };
}

/** Gabled houses on a hill, with trees. */
export function village(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const horizon = frame.horizon * SIDE;
  const shapes: Shape[] = [sun(brief, horizon * 0.4, 30 + 20 * frame.scale)];
  shapes.push(ridge(random, horizon, 40, 0.45, haze(palette, palette.ground[0], 0.3), 0.2));
  shapes.push(ridge(random, horizon + 60, 26, 0.4, haze(palette, palette.ground[1], 0.7), 0.5));
  const houses = count(detail, 2, 5, 9);
  for (let house = 0; house < houses; house++) {
    const depth = 0.5 + (house / houses) * 0.5;
    const x = ((frame.focus + (house * 0.381966 - 0.3)) % 1) * SIDE * 0.84 + 40;
    const y = horizon + 70 + (SIDE - horizon - 90) * (house / houses);
    const size = (34 + 44 * depth) * (0.5 + 0.7 * frame.scale);
    if (detail !== 'sparse')
      shapes.push(...pine(x - size * 1.2, y + 2, size * 2, mix(palette.ground[2], palette.dark, 0.2), depth));
    shapes.push(
      ...cottage(brief, x, y, size, [palette.light, palette.accents[1], palette.accents[2]][house % 3]!, depth),
    );
  }
  shapes.push(ridge(random, SIDE - 34, 14, 0.5, palette.ground[2], 1));
  return { backdrop: palette.sky, shapes };
}

function cottage({ palette }: Brief, x: number, y: number, size: number, wall: Colour, depth: number): Shape[] {
  const roof = palette.accents[0];
  return [
    rectangle(x - size * 0.7, y - size * 0.8, size * 0.7, size * 0.8, wall, depth),
    rectangle(x, y - size * 0.8, size * 0.9, size * 0.8, mix(wall, palette.dark, 0.24), depth),
    polygon(wall, depth, [x - size * 0.7, y - size * 0.79], [x - size * 0.35, y - size * 1.35], [x, y - size * 0.79]),
    rectangle(x + size * 0.5, y - size * 1.6, size * 0.16, size * 0.5, mix(wall, palette.dark, 0.4), depth),
    polygon(
      roof,
      depth,
      [x - size * 0.35, y - size * 1.42],
      [x + size * 0.62, y - size * 1.42],
      [x + size * 1.0, y - size * 0.76],
      [x + size * 0.05, y - size * 0.76],
    ),
    polygon(
      mix(roof, palette.dark, 0.35),
      depth,
      [x - size * 0.35, y - size * 1.42],
      [x - size * 0.8, y - size * 0.74],
      [x - size * 0.7, y - size * 0.74],
      [x - size * 0.32, y - size * 1.3],
    ),
    rectangle(x - size * 0.45, y - size * 0.42, size * 0.22, size * 0.42, palette.dark, depth),
    rectangle(x + size * 0.2, y - size * 0.58, size * 0.2, size * 0.24, palette.accents[1], depth),
    rectangle(x + size * 0.58, y - size * 0.58, size * 0.2, size * 0.24, palette.accents[1], depth),
  ];
}

/** Striped hot-air balloons above hills. */
export function balloons(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const horizon = Math.max(0.62, frame.horizon) * SIDE;
  const shapes: Shape[] = [];
  for (let range = 0; range < 3; range++) {
    shapes.push(
      ridge(
        random,
        horizon + range * 44,
        34,
        0.5,
        haze(palette, palette.ground[range as 0 | 1 | 2], (range + 1) / 3),
        (range + 1) / 3,
      ),
    );
  }
  const total = count(detail, 1, 4, 8);
  for (let index = total - 1; index >= 0; index--) {
    const first = index === 0;
    const x = first ? frame.focus * SIDE : random.between(0.08, 0.92) * SIDE;
    const y = first ? SIDE * 0.38 : random.between(0.1, 0.55) * SIDE;
    const radius = first ? 60 + 80 * frame.scale : random.between(14, 34);
    shapes.push(...balloon(brief, x, y, radius, first ? 0.9 : 0.4));
  }
  return { backdrop: palette.sky, shapes };
}

function balloon({ palette }: Brief, x: number, y: number, radius: number, depth: number): Shape[] {
  const basket = y + radius * 1.75;
  const shapes: Shape[] = [
    ribbon(
      [
        [x - radius * 0.4, y + radius * 0.9],
        [x - radius * 0.12, basket],
      ],
      1.4,
      palette.dark,
      depth,
    ),
    ribbon(
      [
        [x + radius * 0.4, y + radius * 0.9],
        [x + radius * 0.12, basket],
      ],
      1.4,
      palette.dark,
      depth,
    ),
    rectangle(
      x - radius * 0.15,
      basket,
      radius * 0.3,
      radius * 0.22,
      mix(palette.dark, palette.accents[1], 0.35),
      depth,
    ),
  ];
  const gores = 6;
  const meridian = (gore: number): Point[] => {
    const bulge = Math.cos(Math.PI * (1 - gore / gores));
    const points: Point[] = [];
    for (let step = 0; step <= 14; step++) {
      const t = step / 14;
      const width = Math.sin(Math.PI * Math.min(0.93, t * 0.97)) ** 0.62 * (t > 0.55 ? 1 - (t - 0.55) * 0.75 : 1);
      points.push([x + bulge * width * radius, y - radius + t * radius * 2.2]);
    }
    return points;
  };
  for (let gore = 0; gore < gores; gore++) {
    const colour = [palette.accents[0], palette.light, palette.accents[1]][gore % 3]!;
    shapes.push({
      outline: [...meridian(gore), ...meridian(gore + 1).reverse()],
      colour: mix(colour, palette.dark, 0.05 * gore),
      depth,
    });
  }
  return shapes;
}

/** A ringed planet among stars and moons. */
export function planet(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const night = mix(palette.dark, palette.ground[2], 0.25);
  const shapes: Shape[] = [];
  for (let star = 0; star < count(detail, 25, 70, 160); star++) {
    const radius = random.between(0.6, 2.2);
    shapes.push(
      ellipse(
        random.between(0, SIDE),
        random.between(0, SIDE),
        radius,
        radius,
        random.uniform() < 0.8 ? palette.light : palette.accents[1],
        0,
      ),
    );
  }
  const [x, y] = [frame.focus * SIDE, SIDE * (1 - frame.horizon) + 30];
  const radius = 70 + 95 * frame.scale;
  const tilt = random.between(-0.07, 0.07);
  const ring = (from: number, to: number, size: number, colour: Colour): Shape => {
    const outer = ellipse(x, y, radius * size, radius * size * 0.28, colour, 0.6, { from, to, tilt });
    const inner = ellipse(x, y, radius * (size - 0.22), radius * (size - 0.22) * 0.28, colour, 0.6, { from, to, tilt });
    return { ...outer, outline: [...outer.outline, ...[...inner.outline].reverse()] };
  };
  shapes.push(
    ring(0.5, 1, 1.75, mix(palette.accents[1], palette.dark, 0.3)),
    ring(0.5, 1, 1.48, mix(palette.accents[2], palette.dark, 0.3)),
  );
  shapes.push(ellipse(x, y, radius, radius, palette.accents[0], 0.5));
  const bands = count(detail, 2, 4, 7);
  for (let band = 0; band < bands; band++) {
    const low = -0.8 + (1.6 * band) / bands;
    const high = low + 0.8 / bands;
    const edge = (height: number): number => Math.sqrt(1 - height * height) * radius;
    const colour = mix(palette.accents[0], [palette.ground[0], palette.accents[1], palette.light][band % 3]!, 0.55);
    const points: Point[] = [];
    for (let step = 0; step <= 8; step++)
      points.push([x + edge(low + ((high - low) * step) / 8), y + (low + ((high - low) * step) / 8) * radius]);
    for (let step = 8; step >= 0; step--)
      points.push([x - edge(low + ((high - low) * step) / 8), y + (low + ((high - low) * step) / 8) * radius]);
    shapes.push({ outline: points, colour, depth: 0.5 });
  }
  const shade = ellipse(x, y, radius, radius, mix(palette.accents[0], palette.dark, 0.75), 0.5, {
    from: -0.13,
    to: 0.3,
  });
  const terminator = ellipse(x - radius * 0.16, y - radius * 0.1, radius * 0.98, radius * 0.98, shade.colour, 0.5, {
    from: -0.09,
    to: 0.26,
  });
  shapes.push({ ...shade, outline: [...shade.outline, ...[...terminator.outline].reverse()] });
  shapes.push(ring(0, 0.5, 1.75, palette.accents[1]), ring(0, 0.5, 1.48, palette.accents[2]));
  for (let moon = 0; moon < count(detail, 1, 2, 4); moon++) {
    const size = random.between(8, 22);
    const [moonX, moonY] = [random.between(30, SIDE - 30), random.between(30, SIDE - 60)];
    shapes.push(ellipse(moonX, moonY, size, size, mix(palette.light, palette.ground[0], 0.4), 0.7));
    shapes.push(
      ellipse(
        moonX + size * 0.25,
        moonY + size * 0.15,
        size * 0.7,
        size * 0.75,
        mix(palette.ground[0], palette.dark, 0.35),
        0.7,
      ),
    );
  }
  return { backdrop: [night, mix(night, palette.sky[0], 0.35)], shapes };
}
