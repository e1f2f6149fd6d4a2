/** The gallery: pictures that can be made again, that differ, and whose prompts say what they show. */
import sharp from 'sharp';
import { DEMO_PICTURES, gallery } from '../../src/gallery/gallery.ts';
import { describePicture, renderPicture } from '../../src/gallery/picture.ts';
import { SUBJECTS, type SubjectName } from '../../src/gallery/scenes/index.ts';
import { STYLES, type StyleName } from '../../src/gallery/styles/index.ts';
import { triangulate } from '../../src/gallery/triangulation.ts';

const plain = { palette: 'autumn', composition: 'centred', detail: 'moderate' } as const;

describe('a gallery', () => {
  it('is the same for the same seed and another for another', () => {
    expect(gallery(20, 7)).toEqual(gallery(20, 7));
    expect(gallery(20, 7)).not.toEqual(gallery(20, 8));
  });

  it('keeps its first pictures when it grows', () => {
    expect(
      gallery(DEMO_PICTURES)
        .slice(0, 14)
        .map((picture) => picture.attributes.style),
    ).toEqual(gallery(14).map((picture) => picture.attributes.style));
  });

  it('shows every style, subject and palette about equally often', () => {
    const pictures = gallery(DEMO_PICTURES);
    for (const attribute of ['style', 'subject', 'palette', 'composition', 'detail'] as const) {
      const counts = new Map<string, number>();
      for (const { attributes } of pictures)
        counts.set(attributes[attribute], (counts.get(attributes[attribute]) ?? 0) + 1);
      expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
    }
  });

  it('names every picture once', () => {
    expect(new Set(gallery(DEMO_PICTURES).map((picture) => picture.name)).size).toBe(DEMO_PICTURES);
  });

  it('words each prompt so that the subject and the style can be read from it', () => {
    for (const { prompt, attributes } of gallery(100)) {
      expect(SUBJECTS[attributes.subject].words.some((words) => prompt.includes(words))).toBe(true);
      expect(STYLES[attributes.style].words.some((words) => prompt.includes(words))).toBe(true);
    }
  });
});

describe('a picture', () => {
  it.each(Object.keys(STYLES) as StyleName[])(
    'in style %s is a 512-pixel JPEG, the same bytes each time',
    async (style) => {
      const picture = describePicture('p', { ...plain, style, subject: 'village' }, 'seed');
      const [first, again] = [await renderPicture(picture), await renderPicture(picture)];
      expect(first.equals(again)).toBe(true);
      expect(await sharp(first).metadata()).toMatchObject({ format: 'jpeg', width: 512, height: 512, channels: 3 });
    },
  );

  it.each(Object.keys(SUBJECTS) as SubjectName[])(
    'of %s is neither blank nor the same for another seed',
    async (subject) => {
      const draw = (seed: string): Promise<Buffer> =>
        renderPicture(describePicture('p', { ...plain, style: 'flat', subject }, seed));
      const [first, other] = [await draw('a'), await draw('b')];
      const { channels } = await sharp(first).stats();
      expect(Math.max(...channels.map((channel) => channel.stdev))).toBeGreaterThan(15);
      expect(first.equals(other)).toBe(false);
    },
  );

  it('looks different in every style', async () => {
    const thumbnails = await Promise.all(
      (Object.keys(STYLES) as StyleName[]).map(async (style) =>
        sharp(await renderPicture(describePicture('p', { ...plain, style, subject: 'city' }, 'seed')))
          .resize(64)
          .raw()
          .toBuffer(),
      ),
    );
    for (const [index, one] of thumbnails.entries()) {
      for (const other of thumbnails.slice(index + 1)) {
        const difference = one.reduce((sum, byte, at) => sum + Math.abs(byte - other[at]!), 0) / one.length;
        expect(difference).toBeGreaterThan(2);
      }
    }
  });
});

describe('triangulate', () => {
  it('covers a square with two triangles and leaves no point inside another’s circle', () => {
    expect(
      triangulate([
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1.2],
      ]),
    ).toHaveLength(2);
    const points = Array.from({ length: 60 }, (_, i): [number, number] => [(i * 37) % 101, (i * 61) % 97]);
    for (const corners of triangulate(points)) {
      const [a, b, c] = corners.map((corner) => points[corner]!) as [number, number][] as [
        [number, number],
        [number, number],
        [number, number],
      ];
      for (const [index, [x, y]] of points.entries()) {
        if (!corners.includes(index)) expect(insideCircle(a, b, c, [x, y])).toBe(false);
      }
    }
  });
});

type Corner = [number, number];

/** Whether d lies strictly inside the circle through a, b and c: the sign of the in-circle determinant. */
function insideCircle(a: Corner, b: Corner, c: Corner, d: Corner): boolean {
  const row = (p: Corner): [number, number, number] => [
    p[0] - d[0],
    p[1] - d[1],
    (p[0] - d[0]) ** 2 + (p[1] - d[1]) ** 2,
  ];
  const [[ax, ay, a2], [bx, by, b2], [cx, cy, c2]] = [row(a), row(b), row(c)];
  const determinant = ax * (by * c2 - b2 * cy) - ay * (bx * c2 - b2 * cx) + a2 * (bx * cy - by * cx);
  const orientation = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  return determinant * Math.sign(orientation) > 1e-6;
}
