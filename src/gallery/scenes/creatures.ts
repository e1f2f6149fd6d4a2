/** Scenes of animals: a cat, a bird, fish. */
import { type Colour, mix } from '../colour.ts';
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
  smooth,
} from '../scene.ts';

/** A cat sitting in a window, the evening behind it. */
export function cat(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const x = SIDE * (0.5 + (frame.focus - 0.5) * 0.5);
  const size = 120 + 70 * frame.scale;
  const sill = SIDE * 0.82;
  const at = (dx: number, dy: number): Point => [x + dx * size, sill + dy * size];
  const shapes: Shape[] = [rectangle(70, 40, SIDE - 140, sill - 40, palette.sky[0], 0.1)];
  shapes.push(rectangle(70, sill * 0.55, SIDE - 140, sill * 0.45, palette.sky[1], 0.1));
  shapes.push(ellipse(random.between(0.3, 0.7) * SIDE, sill * 0.35, 36, 36, palette.accents[1], 0.1));
  const roofs = count(detail, 2, 5, 9);
  for (let roof = 0; roof < roofs; roof++) {
    const width = (SIDE - 140) / roofs;
    const height = random.between(40, 120);
    shapes.push(
      rectangle(
        70 + roof * width,
        sill - height,
        width,
        height,
        mix(palette.ground[1], palette.ground[0], random.uniform()),
        0.2,
      ),
    );
  }
  const frameColour = mix(palette.light, palette.ground[0], 0.2);
  for (const left of [58, SIDE / 2 - 6, SIDE - 72]) shapes.push(rectangle(left, 30, 14, sill - 30, frameColour, 0.5));
  shapes.push(
    rectangle(58, 30, SIDE - 116, 14, frameColour, 0.5),
    rectangle(58, sill * 0.5, SIDE - 116, 9, frameColour, 0.5),
  );
  shapes.push(
    rectangle(30, sill, SIDE - 60, 24, frameColour, 0.7),
    rectangle(30, sill + 18, SIDE - 60, 8, mix(frameColour, palette.dark, 0.35), 0.7),
  );
  const fur = random.uniform() < 0.5 ? palette.dark : mix(palette.accents[0], palette.dark, 0.12);
  const shade = mix(fur, palette.dark, 0.4);
  const tail = Array.from({ length: 13 }, (_, step): Point => {
    const turn = (step / 12) * Math.PI;
    return at(0.42 + Math.sin(turn * 0.72) * 0.42, -0.1 + (1 - Math.cos(turn)) * 0.36);
  });
  shapes.push(ribbon(tail, size * 0.12, shade, 0.8, 0.7));
  shapes.push({
    outline: smooth([
      at(0, -1.2),
      at(0.3, -0.95),
      at(0.52, -0.35),
      at(0.5, 0.04),
      at(0, 0.06),
      at(-0.42, 0.04),
      at(-0.42, -0.4),
      at(-0.28, -0.95),
    ]),
    colour: fur,
    depth: 0.85,
  });
  shapes.push({
    outline: smooth([at(0.12, -1.05), at(0.3, -0.9), at(0.52, -0.35), at(0.48, 0.03), at(0.2, 0.04), at(0.26, -0.4)]),
    colour: shade,
    depth: 0.85,
  });
  for (const side of [-1, 1]) {
    shapes.push(polygon(fur, 0.9, at(side * 0.1, -1.6), at(side * 0.34, -1.78), at(side * 0.36, -1.3)));
    shapes.push(
      polygon(
        mix(palette.accents[0], palette.light, 0.4),
        0.9,
        at(side * 0.18, -1.58),
        at(side * 0.31, -1.68),
        at(side * 0.32, -1.42),
      ),
    );
  }
  shapes.push(ellipse(...at(0, -1.3), size * 0.38, size * 0.33, fur, 0.9));
  for (const side of [-1, 1]) {
    shapes.push(ellipse(...at(side * 0.16, -1.34), size * 0.075, size * 0.085, palette.accents[1], 0.95));
    shapes.push(ellipse(...at(side * 0.16, -1.34), size * 0.024, size * 0.075, palette.dark, 0.95));
    if (detail !== 'sparse') {
      for (const lift of [-0.04, 0.04])
        shapes.push(ribbon([at(side * 0.1, -1.18), at(side * 0.52, -1.2 + lift * 2)], 1.6, palette.light, 0.95, 0.4));
    }
  }
  shapes.push(polygon(palette.accents[0], 0.95, at(-0.045, -1.24), at(0.045, -1.24), at(0, -1.18)));
  if (detail === 'rich') {
    for (let stripe = 0; stripe < 4; stripe++)
      shapes.push(
        ribbon(
          [at(-0.36 + stripe * 0.02, -0.78 + stripe * 0.2), at(-0.1, -0.74 + stripe * 0.2)],
          size * 0.05,
          mix(fur, palette.light, 0.3),
          0.86,
          0.2,
        ),
      );
  }
  const wall = mix(palette.ground[2], palette.accents[2], 0.25);
  return { backdrop: [wall, mix(wall, palette.dark, 0.2)], shapes };
}

/** A bird on a flowering branch, before an open sky. */
export function bird(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const x = frame.focus * SIDE;
  const facing = frame.focus < 0.5 ? 1 : -1;
  const size = 85 + 75 * frame.scale;
  const y = SIDE * 0.52;
  const at = (dx: number, dy: number): Point => [x + facing * dx * size, y + dy * size];
  const disc = ellipse(
    SIDE * 0.5 + facing * 60,
    SIDE * 0.36,
    120,
    120,
    mix(palette.sky[1], palette.accents[1], 0.45),
    0,
  );
  const shapes: Shape[] = [disc];
  const bark = mix(palette.ground[2], palette.dark, 0.5);
  shapes.push(
    ribbon(
      [
        [-10, y + size * 0.95],
        [x - size, y + size * 0.82],
        [x, y + size * 0.62],
        [x + size, y + size * 0.5],
        [SIDE + 10, y + size * 0.2],
      ],
      15,
      bark,
      0.6,
      0.5,
    ),
  );
  const twigs = count(detail, 3, 7, 14);
  for (let twig = 0; twig < twigs; twig++) {
    const along = (twig + 0.5) / twigs;
    const [fromX, fromY] = [along * SIDE, y + size * (0.95 - 0.7 * along)];
    const [toX, toY] = [fromX + random.between(20, 70), fromY + random.between(-80, 50)];
    shapes.push(
      ribbon(
        [
          [fromX, fromY],
          [toX, toY],
        ],
        5,
        bark,
        0.6,
        0.3,
      ),
    );
    for (let flower = 0; flower < 3; flower++) {
      const t = random.between(0.5, 1.05);
      const [flowerX, flowerY] = [
        fromX + (toX - fromX) * t + random.between(-9, 9),
        fromY + (toY - fromY) * t + random.between(-9, 9),
      ];
      const petal = random.between(5, 10);
      for (let leaf = 0; leaf < 5; leaf++) {
        const angle = (leaf / 5) * 2 * Math.PI + along;
        shapes.push(
          ellipse(
            flowerX + Math.cos(angle) * petal,
            flowerY + Math.sin(angle) * petal,
            petal * 0.8,
            petal * 0.6,
            mix(palette.accents[0], palette.light, random.between(0.2, 0.7)),
            0.65,
            { tilt: leaf / 5 },
          ),
        );
      }
    }
  }
  const body = palette.accents[2];
  const wing = mix(body, palette.dark, 0.45);
  shapes.push(polygon(wing, 0.8, at(-0.55, 0.1), at(-1.5, 0.72), at(-1.34, 0.86), at(-0.35, 0.42)));
  shapes.push({
    outline: smooth([
      at(0.55, -0.62),
      at(0.82, -0.3),
      at(0.66, 0.2),
      at(0.2, 0.6),
      at(-0.4, 0.5),
      at(-0.72, 0.12),
      at(-0.2, -0.22),
      at(0.22, -0.6),
    ]),
    colour: body,
    depth: 0.8,
  });
  shapes.push({
    outline: smooth([at(0.72, -0.1), at(0.62, 0.24), at(0.18, 0.58), at(-0.1, 0.56), at(0.3, 0.22)]),
    colour: mix(palette.accents[0], palette.light, 0.25),
    depth: 0.82,
  });
  shapes.push({
    outline: smooth([at(0.28, -0.2), at(0.18, 0.2), at(-0.4, 0.38), at(-1.1, 0.52), at(-0.6, 0.02), at(-0.1, -0.26)]),
    colour: wing,
    depth: 0.85,
  });
  for (let feather = 0; feather < count(detail, 0, 3, 6); feather++) {
    shapes.push(
      ribbon(
        [at(0.1 - feather * 0.1, -0.02 + feather * 0.04), at(-0.7 - feather * 0.03, 0.2 + feather * 0.07)],
        2.4,
        mix(wing, palette.light, 0.35),
        0.86,
        0.2,
      ),
    );
  }
  shapes.push(polygon(palette.accents[1], 0.8, at(0.78, -0.46), at(1.14, -0.34), at(0.78, -0.27)));
  shapes.push(
    ellipse(...at(0.58, -0.4), size * 0.07, size * 0.07, palette.light, 0.9),
    ellipse(...at(0.59, -0.4), size * 0.042, size * 0.042, palette.dark, 0.9),
  );
  for (const leg of [0.05, 0.22]) shapes.push(ribbon([at(leg, 0.52), at(leg + 0.03, 0.7)], 3, palette.dark, 0.8));
  return { backdrop: palette.sky, shapes };
}

/** Fish over weed and coral, light falling from above. */
export function reef(brief: Brief): Scene {
  const { palette, frame, detail, random } = brief;
  const deep = mix(palette.ground[2], palette.dark, 0.2);
  const shapes: Shape[] = [];
  for (let ray = 0; ray < 4; ray++) {
    const x = random.between(0, SIDE);
    shapes.push(
      polygon(mix(palette.sky[0], palette.ground[0], 0.45), 0, [x, -5], [x + 40, -5], [x + 120, SIDE], [x - 20, SIDE]),
    );
  }
  for (let weed = 0; weed < count(detail, 5, 12, 24); weed++) {
    const depth = random.between(0.2, 0.9);
    const x = random.between(0, SIDE);
    const height = random.between(80, 220) * (0.5 + 0.6 * frame.scale);
    const points: Point[] = [];
    for (let step = 0; step <= 10; step++)
      points.push([x + Math.sin(step * 0.7 + x) * 14, SIDE + 8 - (step / 10) * height]);
    const colour = mix(palette.ground[1], [palette.accents[2], deep, palette.accents[0]][weed % 3]!, 0.6);
    shapes.push(ribbon(points, random.between(8, 18), colour, depth, 0.15));
  }
  const school = count(detail, 1, 5, 11);
  for (let fish = school - 1; fish >= 0; fish--) {
    const first = fish === 0;
    const size = first ? 80 + 80 * frame.scale : random.between(18, 40);
    const x = first ? frame.focus * SIDE : random.between(30, SIDE - 30);
    const y = first ? SIDE * 0.46 : random.between(50, SIDE * 0.8);
    shapes.push(
      ...oneFish(brief, x, y, size, palette.accents[fish % 3]!, first ? 0.9 : 0.5, frame.focus < 0.5 ? 1 : -1),
    );
  }
  for (let bubble = 0; bubble < count(detail, 3, 9, 20); bubble++) {
    const radius = random.between(2, 7);
    shapes.push(
      ellipse(
        random.between(0, SIDE),
        random.between(0, SIDE),
        radius,
        radius,
        mix(palette.sky[1], palette.light, 0.6),
        0.7,
      ),
    );
  }
  return { backdrop: [mix(palette.sky[0], palette.ground[0], 0.4), deep], shapes };
}

function oneFish(
  { palette, detail }: Brief,
  x: number,
  y: number,
  size: number,
  colour: Colour,
  depth: number,
  facing: 1 | -1,
): Shape[] {
  const at = (dx: number, dy: number): Point => [x + facing * dx * size, y + dy * size];
  const fin = mix(colour, palette.dark, 0.3);
  const shapes: Shape[] = [
    { outline: smooth([at(-0.7, 0), at(-1.3, -0.5), at(-1.12, 0), at(-1.3, 0.5)]), colour: fin, depth },
    { outline: smooth([at(0.3, -0.42), at(-0.1, -0.85), at(-0.5, -0.6), at(-0.5, -0.2)]), colour: fin, depth },
    {
      outline: smooth([
        at(0.95, 0),
        at(0.55, -0.42),
        at(-0.1, -0.5),
        at(-0.8, -0.06),
        at(-0.8, 0.06),
        at(-0.1, 0.5),
        at(0.55, 0.42),
      ]),
      colour,
      depth,
    },
    {
      outline: smooth([at(0.8, 0.16), at(0.3, 0.3), at(-0.5, 0.14), at(-0.1, 0.46), at(0.5, 0.42)]),
      colour: mix(colour, palette.light, 0.5),
      depth,
    },
  ];
  for (let stripe = 0; stripe < count(detail, 1, 2, 3); stripe++) {
    const along = 0.35 - stripe * 0.36;
    shapes.push(
      polygon(
        palette.light,
        depth,
        at(along, -0.38 + stripe * 0.06),
        at(along + 0.1, -0.4 + stripe * 0.06),
        at(along + 0.06, 0.38 - stripe * 0.06),
        at(along - 0.06, 0.36 - stripe * 0.06),
      ),
    );
  }
  shapes.push({ outline: smooth([at(0.15, 0.08), at(-0.25, 0.3), at(-0.2, 0.02)]), colour: fin, depth });
  shapes.push(
    ellipse(...at(0.66, -0.1), size * 0.09, size * 0.09, palette.light, depth),
    ellipse(...at(0.68, -0.1), size * 0.05, size * 0.05, palette.dark, depth),
  );
  return shapes;
}
