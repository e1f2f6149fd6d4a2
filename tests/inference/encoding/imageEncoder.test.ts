/** The image encoder that ships, an operator's own, and what a manifest refuses. */
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import {
  encoderHash,
  type ImageEncoder,
  type ImageManifest,
  loadImageEncoder,
  readManifest,
  SHIPPED_IMAGE_ENCODER,
} from '../../../src/inference/encoding/index.ts';
import { writePixels } from '../../../src/inference/encoding/preprocess.ts';
import { Graph, reshape } from '../../../src/onnx/index.ts';

/** A picture whose four corners differ, so that a turn or a swapped channel shows. */
async function drawing(width = 320, height = 240): Promise<Sharp> {
  const rgb = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rgb.set([(255 * x) / width, (255 * y) / height, x * y * 7 > width * height ? 200 : 30], (y * width + x) * 3);
    }
  }
  return sharp(rgb, { raw: { width, height, channels: 3 } });
}

const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / b.reduce((sum, value) => sum + value ** 2, 0));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-encoder-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the encoder that ships', () => {
  let encoder: ImageEncoder;
  beforeAll(async () => {
    encoder = await loadImageEncoder(SHIPPED_IMAGE_ENCODER);
  });
  afterAll(() => encoder.close());

  it('gives 1664 finite numbers, means and deviations of rectified channels, none below 0', async () => {
    const [embedding] = await encoder.encode([await (await drawing()).jpeg().toBuffer()]);
    expect(embedding).toHaveLength(1664);
    expect(encoder.dimensions).toBe(1664);
    expect(embedding!.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
  });

  it('gives a plain colour the same embedding at every size', async () => {
    const grey = (size: number) =>
      sharp({ create: { width: size, height: size, channels: 3, background: '#808080' } })
        .png()
        .toBuffer();
    const [small, large] = await encoder.encode([await grey(64), await grey(900)]);
    expect(distance(small!, large!)).toBe(0);
  });

  it('gives a picture the same embedding alone and among others', async () => {
    const pictures = await Promise.all([200, 260, 320, 400].map(async (w) => (await drawing(w)).png().toBuffer()));
    const together = await encoder.encode(pictures);
    for (const [i, picture] of pictures.entries()) {
      const [alone] = await encoder.encode([picture]);
      expect(distance(alone!, together[i]!)).toBeLessThan(1e-6);
    }
  });

  it('reads batches longer than one run, in order', async () => {
    const pictures = await Promise.all(
      [...Array(19).keys()].map(async (i) => (await drawing(200 + 40 * i)).png().toBuffer()),
    );
    const all = await encoder.encode(pictures);
    expect(all).toHaveLength(19);
    const [last] = await encoder.encode([pictures[18]!]);
    expect(distance(last!, all[18]!)).toBeLessThan(1e-6);
    expect(distance(all[0]!, all[18]!)).toBeGreaterThan(0.01);
  });

  it('turns a picture upright by its EXIF orientation', async () => {
    const upright = await (await drawing()).png().toBuffer();
    const turned = await sharp(upright).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer();
    const ignored = await sharp(turned).withMetadata({ orientation: 1 }).png().toBuffer();
    const [a, b, c] = await encoder.encode([upright, turned, ignored]);
    expect(distance(a!, b!)).toBeLessThan(1e-6);
    expect(distance(a!, c!)).toBeGreaterThan(0.01);
  });

  it('tells two styles apart more than two pictures of one style', async () => {
    const noise = (seed: number) => {
      const rgb = Buffer.from(Array.from({ length: 224 * 224 * 3 }, (_, i) => (i * 7919 * (seed + 3)) % 251));
      return sharp(rgb, { raw: { width: 224, height: 224, channels: 3 } })
        .png()
        .toBuffer();
    };
    const smooth = async (blur: number) => (await drawing()).blur(blur).png().toBuffer();
    const [a, b, c, d] = await encoder.encode([await noise(1), await noise(2), await smooth(2), await smooth(3)]);
    expect(distance(a!, c!)).toBeGreaterThan(2 * distance(a!, b!));
    expect(distance(a!, c!)).toBeGreaterThan(2 * distance(c!, d!));
  });

  it('refuses bytes that are no picture', async () => {
    await expect(encoder.encode([Buffer.from('<html>')])).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(/^The picture cannot be decoded: /),
    });
  });
});

describe("an operator's own encoder", () => {
  /** A model that hands its input back, so that the preprocessing can be read. */
  async function identityEncoder(name: string, input: Partial<ImageManifest['input']>): Promise<string> {
    const directory = await mkdtemp(join(folder, name));
    const full = {
      ...{ name: 'x', layout: 'NCHW', channels: 'RGB', resize: { shortestEdge: 2 }, crop: { width: 2, height: 2 } },
      ...{ scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
      ...input,
    } as ImageManifest['input'];
    const { width, height } = full.crop;
    const graph = new Graph('identity');
    const frame = full.layout === 'NCHW' ? [3, height, width] : [height, width, 3];
    graph.output('y', reshape(graph.input('x', ['images', ...frame]), ['images', 3 * width * height]));
    const model = graph.toBytes();
    await writeFile(join(directory, 'mine.onnx'), model);
    const manifest = {
      ...{ name: 'mine', kind: 'image', description: 'Mine.', licence: 'MIT', source: { url: 'https://example.org' } },
      model: { file: 'mine.onnx', sha256: createHash('sha256').update(model).digest('hex') },
      input: full,
      output: { name: 'y', dimensions: 3 * width * height },
    };
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
    return directory;
  }

  async function encodeOne(directory: string, picture: Buffer): Promise<number[]> {
    const encoder = await loadImageEncoder(directory, { worker: false });
    const [embedding] = await encoder.encode([picture]);
    await encoder.close();
    return [...embedding!].map((value) => Math.round(value * 1000) / 1000);
  }

  const solid = (background: string | { r: number; g: number; b: number; alpha: number }, width = 2, height = 2) =>
    sharp({ create: { width, height, channels: 4, background } })
      .png()
      .toBuffer();

  it('is fed by its manifest: scale, mean and standard deviation a channel, channel order, layout', async () => {
    const picture = await solid('#ff8000');
    const rgb = await identityEncoder('rgb', { scale: 1 / 255, mean: [0.5, 0, 0], std: [0.5, 1, 1] });
    expect(await encodeOne(rgb, picture)).toEqual([1, 1, 1, 1, 0.502, 0.502, 0.502, 0.502, 0, 0, 0, 0]);
    const bgr = await identityEncoder('bgr', { channels: 'BGR', layout: 'NHWC', mean: [-1, 0, 5] });
    expect(await encodeOne(bgr, picture)).toEqual(Array(4).fill([1, 128, 250]).flat());
  });

  it('sees the middle of a picture when it crops, all of it when it stretches', async () => {
    const left = await solid('#ff0000', 4, 8);
    const middle = await solid('#00ff00', 8, 8);
    const wide = await sharp({ create: { width: 16, height: 8, channels: 3, background: '#0000ff' } })
      .composite([
        { input: left, left: 0, top: 0 },
        { input: middle, left: 4, top: 0 },
      ])
      .png()
      .toBuffer();
    const crop = await identityEncoder('crop', { resize: { shortestEdge: 8 }, crop: { width: 8, height: 8 } });
    const cropped = await encodeOne(crop, wide);
    expect(cropped.slice(0, 64).every((red) => red === 0)).toBe(true);
    expect(cropped.slice(64, 128).every((green) => green === 255)).toBe(true);
    const stretch = await identityEncoder('stretch', {
      resize: { width: 16, height: 8 },
      crop: { width: 16, height: 8 },
    });
    const whole = await encodeOne(stretch, wide);
    expect([whole[0], whole[128 + 8], whole[256 + 15]]).toEqual([255, 255, 255]);
  });

  it('sees transparent parts as white', async () => {
    const clear = await solid({ r: 10, g: 20, b: 30, alpha: 0 });
    expect(await encodeOne(await identityEncoder('clear', {}), clear)).toEqual(Array(12).fill(255));
  });

  it('sees grey and 16-bit pictures as 8-bit colour', async () => {
    const grey = await sharp(Buffer.alloc(4, 128), { raw: { width: 2, height: 2, channels: 1 } })
      .png()
      .toBuffer();
    const deep = await sharp(await solid('#808080'))
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    const plain = await identityEncoder('plain', {});
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect(await encodeOne(plain, grey)).toEqual(Array(12).fill(128));
    expect(await encodeOne(plain, deep)).toEqual(Array(12).fill(128));
  });

  it('writes beside what the tensor holds already', async () => {
    const manifest = await readManifest(await identityEncoder('beside', {}), 'image');
    const target = new Float32Array(36).fill(-1);
    await writePixels(await solid('#ffffff'), manifest.input, target, 12);
    expect([...target]).toEqual([...Array(12).fill(-1), ...Array(12).fill(255), ...Array(12).fill(-1)]);
  });
});

describe('a manifest', () => {
  const shippedCopy = async (change: (manifest: Record<string, unknown>) => void): Promise<string> => {
    const directory = await mkdtemp(join(folder, 'copy-'));
    await cp(SHIPPED_IMAGE_ENCODER, directory, { recursive: true });
    const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as Record<string, unknown>;
    change(manifest);
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
    return directory;
  };

  it('is refused with every wrong field by name', async () => {
    const directory = await shippedCopy((manifest) => {
      Object.assign(manifest.input as object, { channels: 'CMYK', std: [1, 1, 0] });
      delete manifest.licence;
    });
    const error = await readManifest(directory, 'image').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT' });
    const { message } = error as Error;
    expect(message).toContain(`${join(directory, 'manifest.json')} is no manifest of an image encoder: `);
    expect(message).toContain('input.channels: ');
    expect(message).toContain('input.std: must be above 0');
    expect(message).toContain('licence: ');
  });

  it('is refused when its crop is larger than the resized picture', async () => {
    const directory = await shippedCopy((manifest) => {
      Object.assign(manifest.input as object, { crop: { width: 225, height: 224 } });
    });
    await expect(readManifest(directory, 'image')).rejects.toThrow('input: crop must fit into the resized picture');
  });

  it('is refused where it is missing or of the other kind', async () => {
    await expect(readManifest(join(folder, 'nowhere'), 'image')).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining("cannot be read as an encoder's manifest: ENOENT"),
    });
    await expect(readManifest(SHIPPED_IMAGE_ENCODER, 'text')).rejects.toThrow('is no manifest of a text encoder: kind');
  });

  it('guards the model: a changed byte is told with both hashes', async () => {
    const directory = await shippedCopy(() => {});
    const model = await readFile(join(directory, 'model.onnx'));
    model[1000]! ^= 1;
    await writeFile(join(directory, 'model.onnx'), model);
    await expect(loadImageEncoder(directory)).rejects.toThrow(
      /model\.onnx has SHA-256 [0-9a-f]{64}, its manifest says a9800a3c/,
    );
  });

  it('hashes what decides the numbers, in whatever order it is written, and nothing else', async () => {
    const manifest = await readManifest(SHIPPED_IMAGE_ENCODER, 'image');
    const { input, name: _, ...rest } = manifest;
    const reordered = { input: Object.fromEntries(Object.entries(input).reverse()), ...rest, name: 'other' };
    expect(encoderHash(reordered as ImageManifest)).toBe(encoderHash(manifest));
    expect(encoderHash({ ...manifest, input: { ...input, scale: 2 } })).not.toBe(encoderHash(manifest));
  });
});
