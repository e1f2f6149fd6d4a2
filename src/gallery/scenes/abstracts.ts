/** Scenes of nothing but form: circles and bars, and stacked waves. */
import { mix } from '../colour.ts';
import {
  type Brief,
  count,
  ellipse,
  type Point,
  polygon,
  rectangle,
  ribbon,
  type Scene,
  type Shape,
  SIDE,
} from '../scene.ts';

/** Discs, half discs, bars and rays around a centre of weight. */
export function geometry(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const colours = [...palette.accents, palette.dark, palette.ground[0], palette.ground[2]];
  const [x, y] = [frame.focus * SIDE, frame.horizon * SIDE];
  const size = 90 + 110 * frame.scale;
  const shapes: Shape[] = [];
  const turn = random.between(-0.2, 0.2);
  const turned = (points: Point[]): Point[] =>
    points.map(([px, py]) => [
      x + (px - x) * Math.cos(turn) - (py - y) * Math.sin(turn),
      y + (px - x) * Math.sin(turn) + (py - y) * Math.cos(turn),
    ]);
  shapes.push({
    outline: turned([
      [x - 700, y],
      [x + 700, y],
      [x + 700, y + 700],
      [x - 700, y + 700],
    ]),
    colour: mix(palette.sky[1], palette.ground[0], 0.35),
    depth: 0.1,
  });
  shapes.push(ellipse(x, y, size, size, random.pick(palette.accents), 0.3));
  shapes.push(ellipse(x, y, size, size, random.pick(colours), 0.4, { from: turn, to: turn + 0.5 }));
  shapes.push(ellipse(x - size * 0.2, y - size * 0.2, size * 0.42, size * 0.42, palette.light, 0.5));
  for (let form = 0; form < count(detail, 5, 12, 26); form++) {
    const colour = random.pick(colours);
    const depth = 0.4 + random.uniform() * 0.6;
    const [formX, formY] = [random.between(20, SIDE - 20), random.between(20, SIDE - 20)];
    const extent = random.between(14, 70) * (detail === 'rich' ? 0.7 : 1.1);
    const kind = random.int(6);
    if (kind === 0) shapes.push(ellipse(formX, formY, extent, extent, colour, depth));
    else if (kind === 1)
      shapes.push(
        ellipse(formX, formY, extent, extent, colour, depth, { from: random.int(4) / 4, to: random.int(4) / 4 + 0.5 }),
      );
    else if (kind === 2)
      shapes.push({
        outline: turned([
          [formX - extent * 2, formY - 4],
          [formX + extent * 2, formY - 4],
          [formX + extent * 2, formY + 4],
          [formX - extent * 2, formY + 4],
        ]),
        colour,
        depth,
      });
    else if (kind === 3)
      shapes.push(
        polygon(
          colour,
          depth,
          [formX, formY - extent],
          [formX + extent, formY + extent * 0.7],
          [formX - extent, formY + extent * 0.7],
        ),
      );
    else if (kind === 4) shapes.push(rectangle(formX - extent / 2, formY - extent / 2, extent, extent, colour, depth));
    else shapes.push(...rings(formX, formY, extent, colour, palette.light, depth));
  }
  for (let line = 0; line < count(detail, 1, 3, 7); line++) {
    shapes.push(
      ribbon(
        [
          [random.between(0, SIDE), -10],
          [random.between(0, SIDE), SIDE + 10],
        ],
        random.between(2, 7),
        palette.dark,
        1,
      ),
    );
  }
  return { backdrop: [palette.sky[1], mix(palette.sky[1], palette.light, 0.5)], shapes };
}

function rings(
  x: number,
  y: number,
  radius: number,
  first: Shape['colour'],
  second: Shape['colour'],
  depth: number,
): Shape[] {
  return [1, 0.74, 0.5, 0.26].map((share, index) =>
    ellipse(x, y, radius * share, radius * share, index % 2 === 0 ? first : second, depth),
  );
}

/** Bands of colour that swell and fall, one in front of the other. */
export function waves(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const colours = [
    palette.sky[0],
    palette.ground[0],
    palette.accents[1],
    palette.ground[1],
    palette.accents[0],
    palette.ground[2],
    palette.accents[2],
    palette.dark,
  ];
  const shapes: Shape[] = [
    ellipse(
      frame.focus * SIDE,
      frame.horizon * SIDE * 0.55,
      50 + 60 * frame.scale,
      50 + 60 * frame.scale,
      palette.accents[0],
      0,
    ),
  ];
  const bands = count(detail, 5, 9, 18);
  const phase = random.between(0, 6);
  const swell = 30 + 70 * frame.scale;
  for (let band = 0; band < bands; band++) {
    const depth = (band + 0.5) / bands;
    const height = frame.horizon * SIDE * 0.5 + (SIDE * (1.1 - frame.horizon * 0.5) * band) / bands;
    const crest: Point[] = [];
    for (let x = 0; x <= SIDE; x += 8) {
      crest.push([
        x,
        height + Math.sin(x / 95 + phase + band * 0.5) * swell * 0.5 + Math.sin(x / 47 - band * 0.9) * swell * 0.2,
      ]);
    }
    const place = (band / bands) * (colours.length - 1);
    const colour = mix(colours[Math.floor(place)]!, colours[Math.ceil(place)]!, place % 1);
    shapes.push({ outline: [...crest, [SIDE, SIDE], [0, SIDE]], colour, depth });
    if (detail !== 'sparse')
      shapes.push(
        ribbon(
          crest.map(([x, y]): Point => [x, y + 7]),
          2,
          mix(colour, palette.light, 0.45),
          depth,
        ),
      );
  }
  return { backdrop: [palette.sky[1], palette.sky[0]], shapes };
}
