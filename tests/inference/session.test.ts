/** Running a model here or in a thread of its own: the same numbers, and failures in words. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openSession, type Session, type Tensor, type Tensors } from '../../src/inference/session.ts';
import { add, Graph, matMul } from '../../src/onnx/index.ts';
import { Random } from '../../src/random.ts';

/** a (rows, 256) b⁸ and a + a. */
function model(): Uint8Array {
  const graph = new Graph('powers');
  const a = graph.input('a', ['rows', 256]);
  const b = graph.input('b', [256, 256]);
  let product = a;
  for (let i = 0; i < 8; i++) product = matMul(product, b);
  graph.output('product', product);
  graph.output('double', add(a, a));
  return graph.toBytes();
}

const random = new Random('session');
const normals = (...dims: number[]): Tensor => {
  const length = dims.reduce((product, dim) => product * dim, 1);
  return { dtype: 'float32', dims, data: Float32Array.from({ length }, () => 0.05 * random.normal()) };
};
const feeds: Tensors = { a: normals(16, 256), b: normals(256, 256) };

const WRONG: readonly { what: string; wrong: Tensors; reason: string }[] = [
  { what: 'an input that is missing', wrong: { a: feeds['a']! }, reason: "input 'b' is missing in 'feeds'." },
  {
    what: 'a shape that does not fit',
    wrong: { ...feeds, b: normals(2, 3) },
    reason: 'Got invalid dimensions for input: b',
  },
  {
    what: 'numbers of another kind',
    wrong: { ...feeds, a: { dtype: 'float16', dims: [1, 256], data: new Uint16Array(256) } },
    reason: 'Unexpected input data type. Actual: (tensor(float16)) , expected: (tensor(float))',
  },
  {
    what: 'too few numbers',
    wrong: { ...feeds, a: { dtype: 'float32', dims: [4, 256], data: new Float32Array(3) } },
    reason: "Tensor's size(1024) does not match data length(3).",
  },
];

/** jest's `Error` is not the native engine's, so there the reason begins with "Error: ". */
const said = (what: string, reason: string) =>
  new RegExp(`^The model could not be ${what}: (Error: )?${reason.replace(/[.()]/g, '\\$&')}`);

/** Of each thread of this process, the first of them first (proc_pid_stat(5), field 19). */
async function nicenessOfThreads(): Promise<number[]> {
  const threads = (await readdir('/proc/self/task')).toSorted((a, b) => Number(a) - Number(b));
  const stats = await Promise.all(threads.map((thread) => readFile(`/proc/self/task/${thread}/stat`, 'utf8')));
  return stats.map((stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]));
}

/** Turns of the event loop while `work` runs. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let done = false;
  const turn = () => {
    if (done) return;
    turns++;
    setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  done = true;
  return turns;
}

describe.each([
  { where: 'in this thread', worker: false },
  { where: 'in a thread of its own', worker: true },
])('a session $where', ({ worker }) => {
  let session: Session;
  beforeAll(async () => {
    session = await openSession(model(), { worker });
  });
  afterAll(() => session.close());

  it('names its inputs and outputs and gives the outputs asked for', async () => {
    expect([session.inputNames, session.outputNames]).toEqual([
      ['a', 'b'],
      ['product', 'double'],
    ]);
    const all = await session.run(feeds);
    expect(Object.keys(all)).toEqual(['product', 'double']);
    expect(all['product']).toMatchObject({ dtype: 'float32', dims: [16, 256] });
    const { double, ...others } = await session.run(feeds, ['double']);
    expect(others).toEqual({});
    expect(double!.data).toEqual((feeds['a']!.data as Float32Array).map((value) => 2 * value));
  });

  it('gives the same bits at every run', async () => {
    const [first, second] = [await session.run(feeds), await session.run(feeds)];
    expect(second['product']!.data).toEqual(first['product']!.data);
    expect(new Set(first['product']!.data as Float32Array).size).toBeGreaterThan(1000);
  });

  it.each(WRONG)('says what is wrong with $what, and goes on', async ({ wrong, reason }) => {
    await expect(session.run(wrong)).rejects.toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
      message: expect.stringMatching(said('run', reason)),
    });
    await expect(session.run(feeds, ['double'])).resolves.toBeDefined();
  });

  it('says which output it does not have', async () => {
    await expect(session.run(feeds, ['logits'])).rejects.toThrow(
      "The model could not be run: 'fetches' contains invalid output name: logits.",
    );
  });

  it('does not open what is not a model, or not there', async () => {
    await expect(openSession(Uint8Array.of(1, 2, 3), { worker })).rejects.toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
      message: expect.stringMatching(said('opened', 'Failed to load model because protobuf parsing failed.')),
    });
    await expect(openSession('/nowhere/model.onnx', { worker })).rejects.toThrow(
      /^The model could not be opened: .*\/nowhere\/model\.onnx.*File doesn't exist/,
    );
  });

  it('refuses to run once it is closed, and may be closed twice', async () => {
    const other = await openSession(model(), { worker });
    await other.close();
    await expect(other.run(feeds)).rejects.toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
      message: "The model's session is closed.",
    });
    await expect(other.close()).resolves.toBeUndefined();
  });
});

describe('a thread of its own', () => {
  let here: Session;
  let there: Session;
  beforeAll(async () => {
    [here, there] = await Promise.all([openSession(model()), openSession(model(), { worker: true })]);
  });
  afterAll(() => Promise.all([here.close(), there.close()]));

  it('gives the numbers that this thread gives', async () => {
    expect((await there.run(feeds))['product']).toEqual((await here.run(feeds))['product']);
  });

  it('leaves the event loop free while it runs', async () => {
    const large = { ...feeds, a: normals(4096, 256) };
    const blocked = await turnsDuring(() => here.run(large));
    const free = await turnsDuring(() => there.run(large));
    expect(blocked).toBeLessThan(5);
    expect(free).toBeGreaterThan(20);
  });

  it('answers each of many runs with its own result', async () => {
    const inputs = Array.from({ length: 20 }, (_, i) => ({ ...feeds, a: normals(1 + i, 256) }));
    const results = await Promise.all(inputs.map((input) => there.run(input, ['double'])));
    for (const [i, { double }] of results.entries()) {
      expect(double!.data).toEqual((inputs[i]!.a.data as Float32Array).map((value) => 2 * value));
    }
  });

  it('fails the runs that are waiting when it is closed', async () => {
    const session = await openSession(model(), { worker: true });
    const waiting = expect(session.run(feeds)).rejects.toThrow("The model's session is closed.");
    await session.close();
    await waiting;
  });

  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('lets others have the processor first where it works in the background', async () => {
    const session = await openSession(model(), { worker: true, background: true, threads: 2 });
    const niceness = await nicenessOfThreads();
    await session.close();
    expect(niceness.filter((nice) => nice === 10).length).toBeGreaterThanOrEqual(2); // the thread and the engine's
    expect(niceness[0]).toBe(0); // the process's first
  });

  it('does not keep the process alive when idle', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'palate-session-'));
    const script = join(folder, 'idle.mjs');
    await writeFile(join(folder, 'model.onnx'), model());
    await writeFile(
      script,
      `import { openSession } from ${JSON.stringify(new URL('../../src/inference/session.ts', import.meta.url))};
       await openSession(${JSON.stringify(join(folder, 'model.onnx'))}, { worker: true });
       console.log('open');`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script], { timeout: 50_000 });
    await rm(folder, { recursive: true });
    expect(stdout).toBe('open\n');
  });
});
