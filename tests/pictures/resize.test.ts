/** The smaller sizes that pictures are shown in. */
import sharp from 'sharp';
import { RESIZED_MEDIA_TYPE, resizePicture } from '../../src/pictures/resize.ts';

const solid = (width: number, height: number, background = '#ff0000') =>
  sharp({ create: { width, height, channels: 3, background } });

it.each([256, 512, 1024])('fits the longer side to %d pixels and keeps the proportions', async (size) => {
  const { width, height, format } = await sharp(
    await resizePicture(await solid(3000, 1500).png().toBuffer(), size),
  ).metadata();
  expect([width, height, `image/${format}`]).toEqual([size, size / 2, RESIZED_MEDIA_TYPE]);
});

it('never enlarges', async () => {
  const { width, height } = await sharp(await resizePicture(await solid(100, 60).jpeg().toBuffer(), 512)).metadata();
  expect([width, height]).toEqual([100, 60]);
});

it('turns a picture upright and drops its metadata, where it was taken included', async () => {
  const lying = await solid(800, 400)
    .jpeg()
    .withExif({ IFD0: { Copyright: 'me' }, IFD3: { GPSLatitude: '51/1 30/1 0/1' } })
    .withMetadata({ orientation: 6 })
    .toBuffer();
  const metadata = await sharp(await resizePicture(lying, 256)).metadata();
  expect([metadata.width, metadata.height]).toEqual([128, 256]);
  expect(metadata.exif).toBeUndefined();
});

it('gives CMYK and 16-bit pictures as 8-bit sRGB, about the same colour', async () => {
  const cmyk = await solid(64, 64, '#204080').toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
  const deep = await solid(64, 64, '#204080').toColourspace('rgb16').png().toBuffer();
  for (const bytes of [cmyk, deep]) {
    const resized = sharp(await resizePicture(bytes, 256));
    expect(await resized.metadata()).toMatchObject({ space: 'srgb', depth: 'uchar' });
    const [red, green, blue] = (await resized.stats()).channels.map(({ mean }) => mean);
    expect(Math.abs(red! - 0x20) + Math.abs(green! - 0x40) + Math.abs(blue! - 0x80)).toBeLessThan(60);
  }
});

it('shows the first frame of an animation', async () => {
  const frames = await Promise.all(['#ff0000', '#0000ff'].map((colour) => solid(40, 40, colour).png().toBuffer()));
  const animated = await sharp(frames, { join: { animated: true } })
    .webp({ lossless: true })
    .toBuffer();
  const shown = sharp(await resizePicture(animated, 256));
  expect((await shown.metadata()).pages ?? 1).toBe(1);
  const [red, , blue] = (await shown.stats()).channels.map(({ mean }) => mean);
  expect(red).toBeGreaterThan(240);
  expect(blue).toBeLessThan(15);
});

it('keeps transparency', async () => {
  const clear = await sharp({
    create: { width: 40, height: 40, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.5 } },
  })
    .png()
    .toBuffer();
  expect(await sharp(await resizePicture(clear, 256)).metadata()).toMatchObject({ hasAlpha: true });
});
