/**
 * WebGPU gives what the processor gives, encoding, scoring and training, all at once: on SwiftShader, so that it is run
 * on a machine without a GPU.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HAS_SWIFT_SHADER, type SwiftShader, unpackSwiftShader } from '../support/swiftShader.ts';
import type { Trial } from '../support/webGpuTrial.ts';

/** Of the largest number; an item vector is of half floats, whose last digit may be another. */
const TOLERANCE = 1e-4;
const HALF_TOLERANCE = 1e-3;
/** Adam moves a weight by the sign of its gradient, however small: where that is no more than noise, either way. */
const LEARNING_RATE = 0.01;
const SAME_WEIGHTS = 0.98;

if (!HAS_SWIFT_SHADER) console.warn('WebGPU is not tested: its software driver comes for Linux on x64 alone.');
const onSwiftShader = HAS_SWIFT_SHADER ? describe : describe.skip;

onSwiftShader('on WebGPU', () => {
  let driver: SwiftShader;
  let trial: Trial;
  beforeAll(async () => {
    driver = await unpackSwiftShader();
    const script = fileURLToPath(new URL('../support/webGpuTrial.ts', import.meta.url));
    const env = { ...process.env, ...driver.environment };
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script], { env });
    trial = JSON.parse(stdout) as Trial;
  }, 180_000);
  afterAll(() => driver.remove());

  const furthest = (name: string) => {
    const [expected, found] = [trial.cpu[name]!, trial.webgpu[name]!];
    expect(found).toHaveLength(expected.length);
    return Math.max(...expected.map((value, i) => Math.abs(value - found[i]!)));
  };
  const largest = (name: string) => Math.max(...trial.cpu[name]!.map(Math.abs));

  it.each([
    ['embeddings', TOLERANCE],
    ['item vectors', HALF_TOLERANCE],
    ['keys and values', TOLERANCE],
    ['profiles', TOLERANCE],
    ['logits', TOLERANCE],
    ['attention to tokens', TOLERANCE],
    ['attention to history', TOLERANCE],
    ['losses', TOLERANCE],
    ['gradient norm', TOLERANCE],
  ])('gives the %s of the processor', (name, tolerance) => {
    expect(largest(name)).toBeGreaterThan(0.1);
    expect(furthest(name)).toBeLessThan(tolerance * largest(name));
  });

  it.each(['embeddings', 'keys and values', 'trained weights'])(
    'gives %s of other last digits: it computed them',
    (name) => {
      expect(furthest(name)).toBeGreaterThan(0);
    },
  );

  it('gives the weights of the processor after a step of training', () => {
    const name = 'trained weights';
    const [expected, found] = [trial.cpu[name]!, trial.webgpu[name]!];
    const same = expected.filter((value, i) => Math.abs(value - found[i]!) < LEARNING_RATE / 1000);
    expect(same.length / expected.length).toBeGreaterThan(SAME_WEIGHTS);
    expect(furthest(name)).toBeLessThan(2 * LEARNING_RATE);
  });
});
