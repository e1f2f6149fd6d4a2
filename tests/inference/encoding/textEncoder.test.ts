/** The text encoder that ships: published figures, batches, padding, long texts. */
import { loadTextEncoder, SHIPPED_TEXT_ENCODER, type TextEncoder } from '../../../src/inference/encoding/index.ts';

const cosine = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

let encoder: TextEncoder;
beforeAll(async () => {
  encoder = await loadTextEncoder(SHIPPED_TEXT_ENCODER);
});
afterAll(() => encoder.close());

it('reproduces the similarities that Sentence Transformers publishes for all-MiniLM-L6-v2', async () => {
  // sbert.net, "Quickstart", computed there with the single-precision weights in PyTorch.
  const published = [0.666, 0.1046, 0.1411];
  const texts = ['The weather is lovely today.', "It's so sunny outside!", 'He drove to the stadium.'];
  const [a, b, c] = await encoder.encode(texts);
  const measured = [cosine(a!, b!), cosine(a!, c!), cosine(b!, c!)];
  measured.forEach((value, i) => {
    expect(Math.abs(value - published[i]!)).toBeLessThan(5e-4);
  });
});

it('gives 384 numbers of unit length', async () => {
  const [embedding] = await encoder.encode(['a red fox in the snow']);
  expect(embedding).toHaveLength(384);
  expect(encoder.dimensions).toBe(384);
  expect(cosine(embedding!, embedding!)).toBeCloseTo(1, 5);
});

it('gives a text the same embedding alone and padded among longer ones, whatever the order', async () => {
  const texts = Array.from({ length: 37 }, (_, i) => `picture ${'of a very old castle '.repeat((i * 5) % 11)}${i}`);
  const together = await encoder.encode(texts);
  const backwards = (await encoder.encode([...texts].reverse())).reverse();
  for (const i of [0, 1, 17, 36]) {
    const [alone] = await encoder.encode([texts[i]!]);
    expect(1 - cosine(alone!, together[i]!)).toBeLessThan(1e-5);
    expect(Math.max(...alone!.map((value, k) => Math.abs(value - together[i]![k]!)))).toBeLessThan(1e-5);
    expect(Math.max(...alone!.map((value, k) => Math.abs(value - backwards[i]![k]!)))).toBeLessThan(1e-5);
  }
});

it('reads the first 256 tokens of a long text and no more', async () => {
  const long = 'tree '.repeat(254);
  const [exact, longer, shorter] = await encoder.encode([long, `${long} ${'car '.repeat(500)}`, 'tree '.repeat(100)]);
  expect(cosine(exact!, longer!)).toBeGreaterThan(1 - 1e-5);
  expect(cosine(exact!, shorter!)).toBeLessThan(1 - 1e-4);
});

it('reads an empty text, other scripts and marks, and does not tell case apart', async () => {
  const [empty, japanese, marks, lower, upper] = await encoder.encode(['', '桜の木', '🙂 — §', 'red fox', 'RED FOX']);
  for (const embedding of [empty, japanese, marks]) expect(cosine(embedding!, embedding!)).toBeCloseTo(1, 5);
  expect(cosine(lower!, upper!)).toBeGreaterThan(1 - 1e-6);
});

it('gives no embedding for no text', async () => {
  expect(await encoder.encode([])).toEqual([]);
});
