/** What may come in as a picture, what may not, and in which words it is told. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { checkPicture, DEFAULT_PICTURE_LIMITS } from '../../src/pictures/check.ts';
import { PICTURE_FORMATS, type PictureFormat } from '../../src/pictures/formats.ts';

const FORMATS = Object.keys(PICTURE_FORMATS) as PictureFormat[];

/** A picture that does not compress to nothing, so that half of its file is half of its rows. */
function textured(width: number, height: number): Sharp {
  const rgb = Buffer.alloc(width * height * 3);
  for (let i = 0; i < rgb.length; i++) rgb[i] = (i * i * 31 + i * 7) % 256;
  return sharp(rgb, { raw: { width, height, channels: 3 } });
}

describe('a picture that is taken', () => {
  it.each(FORMATS)('is told by its bytes: %s', async (format) => {
    const bytes = await textured(60, 40).toFormat(format).toBuffer();
    expect(await checkPicture(bytes)).toEqual({
      format,
      width: 60,
      height: 40,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
  });

  it('has the width and height that it has upright', async () => {
    const lying = await textured(60, 40).jpeg().withMetadata({ orientation: 6 }).toBuffer();
    expect(await checkPicture(lying)).toMatchObject({ width: 40, height: 60 });
  });

  it('may be CMYK, 16 bits deep, grey, transparent or progressive', async () => {
    const pictures = await Promise.all([
      textured(60, 40).toColourspace('cmyk').jpeg().toBuffer(),
      textured(60, 40).toColourspace('rgb16').png().toBuffer(),
      textured(60, 40).greyscale().png().toBuffer(),
      textured(60, 40).ensureAlpha(0.5).webp().toBuffer(),
      textured(60, 40).jpeg({ progressive: true }).toBuffer(),
    ]);
    const [cmyk, deep] = await Promise.all(pictures.slice(0, 2).map((bytes) => sharp(bytes).metadata()));
    expect([cmyk!.space, deep!.depth]).toEqual(['cmyk', 'ushort']);
    for (const bytes of pictures) expect(await checkPicture(bytes)).toMatchObject({ width: 60, height: 40 });
  });

  it('may be animated: it counts as its first frame', async () => {
    const frames = await Promise.all(
      ['#ff0000', '#00ff00', '#0000ff'].map((background) =>
        sharp({ create: { width: 30, height: 20, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    const animated = await sharp(frames, { join: { animated: true } })
      .webp()
      .toBuffer();
    expect((await sharp(animated).metadata()).pages).toBe(3);
    expect(await checkPicture(animated)).toMatchObject({ format: 'webp', width: 30, height: 20 });
  });

  it('may be one pixel, or a line of very many', async () => {
    for (const [width, height] of [
      [1, 1],
      [60_000, 1],
      [1, 60_000],
    ] as const) {
      const bytes = await sharp({ create: { width, height, channels: 3, background: '#123456' } })
        .png()
        .toBuffer();
      expect(await checkPicture(bytes)).toMatchObject({ width, height });
    }
  });
});

describe('a file that is no picture', () => {
  it.each([
    ['an HTML page', Buffer.from('<!doctype html><script>alert(1)</script>'), '3c21646f63747970'],
    ['an SVG drawing', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), '3c73766720786d6c'],
    ['a few bytes', Buffer.from([0xff, 0xd8]), 'ffd8'],
    ['another ISO media file', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), '0000001866747970'],
  ])('is refused as such: %s', async (_, bytes, start) => {
    await expect(checkPicture(bytes)).rejects.toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      message: `file is none of the pictures taken (it begins ${start}): JPEG, PNG, WebP and AVIF pictures are taken.`,
    });
  });

  it.each(['gif', 'tiff'] as const)('is refused even where it is a picture of another kind: %s', async (format) => {
    const bytes = await textured(60, 40).toFormat(format).toBuffer();
    await expect(checkPicture(bytes)).rejects.toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE' });
  });

  it('is refused when it is empty, by the name of its field', async () => {
    await expect(checkPicture(Buffer.alloc(0), DEFAULT_PICTURE_LIMITS, 'body')).rejects.toMatchObject({
      code: 'INVALID',
      message: 'body is empty: send the bytes of a picture.',
    });
  });

  it.each(FORMATS)('is refused when only its first bytes are those of a picture: %s', async (format) => {
    const bytes = await textured(60, 40).toFormat(format).toBuffer();
    const garbage = Buffer.concat([bytes.subarray(0, 20), Buffer.alloc(4000, 0x41)]);
    await expect(checkPicture(garbage)).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining(
        `file begins as a ${PICTURE_FORMATS[format].label} picture and cannot be decoded, damaged or cut short: `,
      ),
    });
  });

  it.each(FORMATS.flatMap((format) => [0.3, 0.6, 0.95].map((part) => [format, part] as const)))(
    'is refused when it is cut short: %s at %d of its bytes',
    async (format, part) => {
      const bytes = await textured(300, 300).toFormat(format).toBuffer();
      const cut = bytes.subarray(0, Math.floor(bytes.length * part));
      await expect(checkPicture(cut)).rejects.toMatchObject({ code: 'INVALID' });
    },
  );
});

describe('a picture that is too large', () => {
  it('is refused by the bytes of its file', async () => {
    const bytes = await textured(60, 40).png().toBuffer();
    const limits = { ...DEFAULT_PICTURE_LIMITS, maxBytes: bytes.length };
    await expect(checkPicture(bytes, limits)).resolves.toMatchObject({ format: 'png' });
    await expect(checkPicture(Buffer.alloc(20_000_001))).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: 'file has 20,000,001 bytes; at most 20,000,000 are taken.',
    });
  });

  it('is refused by its pixels', async () => {
    const bytes = await textured(60, 40).png().toBuffer();
    await expect(checkPicture(bytes, { ...DEFAULT_PICTURE_LIMITS, maxPixels: 2400 })).resolves.toBeDefined();
    await expect(checkPicture(bytes, { ...DEFAULT_PICTURE_LIMITS, maxPixels: 2399 })).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: 'file has 60 × 40 pixels; at most 2,399 in all are taken.',
    });
  });

  it('is refused by what its header says, before anything is decoded: a decompression bomb', async () => {
    const png = await textured(60, 40).png().toBuffer();
    png.writeUInt32BE(60_000, 16);
    png.writeUInt32BE(50_000, 20);
    png.writeUInt32BE(crc32(png.subarray(12, 29)), 29); // IHDR's checksum
    await expect(checkPicture(png)).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: 'file has 60,000 × 50,000 pixels; at most 50,000,000 in all are taken.',
    });

    const jpeg = await textured(60, 40).jpeg().toBuffer();
    const frameHeader = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    jpeg.writeUInt16BE(65_000, frameHeader + 5);
    jpeg.writeUInt16BE(65_000, frameHeader + 7);
    await expect(checkPicture(jpeg)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });
});
