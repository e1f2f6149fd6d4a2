/** A person: head and shoulders before a plain or patterned ground. */
import { mix } from '../colour.ts';
import { type Brief, ellipse, type Point, polygon, ribbon, type Scene, type Shape, SIDE, smooth } from '../scene.ts';

/** Head and shoulders before a plain or patterned ground. */
export function portrait(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const x = frame.focus * SIDE * 0.6 + SIDE * 0.2;
  const size = 105 + 65 * frame.scale;
  const y = SIDE * 0.46;
  const at = (dx: number, dy: number): Point => [x + dx * size, y + dy * size];
  const skin = mix(palette.accents[1], mix(palette.light, palette.ground[0], random.uniform()), 0.45);
  const shade = mix(skin, palette.dark, 0.26);
  const hair = random.uniform() < 0.5 ? palette.dark : mix(palette.accents[0], palette.dark, 0.3);
  const coat = palette.accents[random.int(2) === 0 ? 0 : 2];
  const shapes: Shape[] = [...portraitGround(brief)];
  const long = random.uniform() < 0.6;
  shapes.push({
    outline: smooth(
      long
        ? [
            at(0, -1.16),
            at(0.72, -0.8),
            at(0.84, 0.2),
            at(0.78, 1.15),
            at(0, 1.3),
            at(-0.78, 1.15),
            at(-0.84, 0.2),
            at(-0.72, -0.8),
          ]
        : [at(0, -1.14), at(0.66, -0.8), at(0.72, -0.1), at(0.5, 0.3), at(-0.5, 0.3), at(-0.72, -0.1), at(-0.66, -0.8)],
    ),
    colour: mix(hair, palette.dark, 0.2),
    depth: 0.6,
  });
  shapes.push({
    outline: smooth([
      at(0, 1.02),
      at(0.5, 1.12),
      at(1.15, 1.45),
      at(1.5, 2.6),
      at(1.3, 4),
      at(-1.3, 4),
      at(-1.5, 2.6),
      at(-1.15, 1.45),
      at(-0.5, 1.12),
    ]),
    colour: coat,
    depth: 0.8,
  });
  shapes.push(
    polygon(
      mix(coat, palette.dark, 0.3),
      0.8,
      at(0.15, 1.5),
      at(0.62, 1.16),
      at(1.2, 1.5),
      at(1.5, 2.6),
      at(1.3, 4),
      at(0.25, 4),
    ),
  );
  shapes.push(polygon(shade, 0.8, at(-0.24, 0.6), at(0.26, 0.6), at(0.34, 1.2), at(0.02, 1.62), at(-0.32, 1.2)));
  shapes.push({
    outline: smooth([
      at(0, -0.92),
      at(0.5, -0.62),
      at(0.56, 0),
      at(0.42, 0.52),
      at(0.12, 0.86),
      at(-0.14, 0.86),
      at(-0.42, 0.52),
      at(-0.56, 0),
      at(-0.5, -0.62),
    ]),
    colour: skin,
    depth: 0.9,
  });
  shapes.push({
    outline: smooth([
      at(0.16, -0.84),
      at(0.5, -0.6),
      at(0.56, 0),
      at(0.42, 0.52),
      at(0.12, 0.86),
      at(0.02, 0.84),
      at(0.24, 0.4),
      at(0.3, -0.2),
    ]),
    colour: mix(skin, shade, 0.75),
    depth: 0.9,
  });
  for (const side of [-1, 1]) {
    shapes.push(ellipse(...at(side * 0.23, -0.06), size * 0.1, size * 0.052, palette.light, 0.9));
    shapes.push(ellipse(...at(side * 0.23 + 0.01, -0.06), size * 0.048, size * 0.05, palette.dark, 0.9));
    shapes.push(
      ribbon(
        [at(side * 0.1, -0.21), at(side * 0.23, -0.26), at(side * 0.37, -0.2)],
        size * 0.045,
        mix(hair, palette.dark, 0.4),
        0.9,
        0.5,
      ),
    );
  }
  shapes.push(polygon(shade, 0.9, at(0.01, -0.1), at(0.11, 0.26), at(-0.05, 0.28)));
  const lips = mix(palette.accents[0], palette.dark, 0.15);
  shapes.push({ outline: smooth([at(-0.18, 0.5), at(0, 0.46), at(0.18, 0.5), at(0, 0.58)]), colour: lips, depth: 0.9 });
  const parting = random.between(-0.4, 0.4);
  shapes.push({
    outline: smooth([
      at(parting, -0.62),
      at(0.55, -0.34),
      at(0.62, 0.02),
      at(0.7, -0.66),
      at(0, -1.12),
      at(-0.7, -0.66),
      at(-0.62, 0.02),
      at(-0.55, -0.34),
    ]),
    colour: hair,
    depth: 0.95,
  });
  if (detail !== 'sparse') {
    for (const side of [-1, 1])
      shapes.push(ellipse(...at(side * 0.56, 0.42), size * 0.06, size * 0.09, palette.accents[1], 0.95));
  }
  return { backdrop: [mix(palette.sky[0], palette.ground[0], 0.3), palette.sky[1]], shapes };
}

function portraitGround({ palette, detail, random }: Brief): Shape[] {
  if (detail === 'sparse')
    return [ellipse(SIDE / 2, SIDE * 0.42, 200, 200, mix(palette.ground[0], palette.sky[1], 0.4), 0)];
  const shapes: Shape[] = [];
  const step = detail === 'rich' ? 46 : 74;
  const [first, second] = [mix(palette.ground[0], palette.sky[1], 0.35), mix(palette.ground[1], palette.sky[1], 0.55)];
  const circles = random.uniform() < 0.5;
  for (let row = 0; row * step < SIDE + step; row++) {
    for (let column = 0; column * step < SIDE + step; column++) {
      const [x, y] = [(column + (row % 2) / 2) * step, row * step];
      const colour = (row + column) % 2 === 0 ? first : second;
      if (circles) shapes.push(ellipse(x, y, step * 0.36, step * 0.36, colour, 0));
      else
        shapes.push(
          polygon(colour, 0, [x, y - step * 0.42], [x + step * 0.3, y], [x, y + step * 0.42], [x - step * 0.3, y]),
        );
    }
  }
  return shapes;
}
