/**
 * Images and prompts encoded a second, by threads and batch size.
 *
 *     npm run bench:encode
 *
 * Runs for less than a minute. Pictures are 512 × 512 JPEGs, made here; "decode alone" is reading them into the
 * model's input, which the other figures contain.
 */
import sharp from 'sharp';
import {
  loadImageEncoder,
  loadTextEncoder,
  readManifest,
  SHIPPED_IMAGE_ENCODER,
  SHIPPED_TEXT_ENCODER,
} from '../src/inference/encoding/index.ts';
import { inputLength, writePixels } from '../src/inference/encoding/preprocess.ts';
import { Random } from '../src/random.ts';

const THREADS = [1, 2];
const IMAGE_BATCHES = [1, 4, 8, 16];
const TEXT_BATCHES = [1, 16, 64];
/** Evens out a busy moment; all settings together stay within a minute. */
const MILLISECONDS_EACH = 2000;
const AT_ONCE = 16;
const SIDE = 512;

/** Items a second of `run`, which does `items` of them; one run before the clock starts. */
async function rate(items: number, run: () => Promise<unknown>): Promise<number> {
  await run();
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < MILLISECONDS_EACH) {
    await run();
    done += items;
  }
  return (1000 * done) / (performance.now() - start);
}

const rows: { what: string; threads: number; batch: number; 'a second': string; 'ms each': string }[] = [];
const report = (what: string, threads: number, batch: number, perSecond: number): void => {
  rows.push({ what, threads, batch, 'a second': perSecond.toFixed(1), 'ms each': (1000 / perSecond).toFixed(1) });
};

const random = new Random('bench/encode');
const pictures = await Promise.all(
  Array.from({ length: AT_ONCE }, () => {
    const coarse = Buffer.from(Array.from({ length: 32 * 32 * 3 }, () => random.int(256)));
    const image = sharp(coarse, { raw: { width: 32, height: 32, channels: 3 } });
    return image.resize(SIDE, SIDE).jpeg({ quality: 90 }).toBuffer();
  }),
);
const { input } = await readManifest(SHIPPED_IMAGE_ENCODER, 'image');
const pixels = new Float32Array(inputLength(input));
report('decode alone', 1, 1, await rate(1, () => writePixels(pictures[0]!, input, pixels, 0)));

for (const threads of THREADS) {
  for (const batch of IMAGE_BATCHES) {
    const encoder = await loadImageEncoder(SHIPPED_IMAGE_ENCODER, { threads, batch });
    report('image', threads, batch, await rate(AT_ONCE, () => encoder.encode(pictures)));
    await encoder.close();
  }
}

const prompts = Array.from(
  { length: 64 },
  (_, i) => `a portrait of a woman, painting number ${i}, oil, highly detailed`,
);
for (const threads of THREADS) {
  const encoder = await loadTextEncoder(SHIPPED_TEXT_ENCODER, { threads });
  for (const batch of TEXT_BATCHES) {
    report('prompt', threads, batch, await rate(batch, () => encoder.encode(prompts.slice(0, batch))));
  }
  await encoder.close();
}
console.table(rows);
