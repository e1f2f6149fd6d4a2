/** The engine's process: killed, replaced, hopeless, and gone with its parent; the answers are those of this thread. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { killOutright, untilGone } from '../../bench/support/kill/processes.ts';
import { TSX } from '../../bench/support/service.ts';
import { Engine, whyReplace } from '../../src/inference/engine/engine.ts';
import { FrameReader, writeFrame } from '../../src/inference/engine/frames.ts';
import { SharedArea } from '../../src/inference/engine/sharedArea.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import type { Session, Tensors } from '../../src/inference/session.ts';
import { SessionHost } from '../../src/inference/sessionHost.ts';
import { Graph, scale } from '../../src/onnx/index.ts';
import { withoutProcesses } from '../support/engine.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';

/** x → times x */
function model(times: number): Uint8Array {
  const graph = new Graph('multiple');
  graph.output('multiple', scale(graph.input('x', ['rows']), times));
  return graph.toBytes();
}
const numbers = (...values: number[]): Tensors => ({
  x: { dtype: 'float32', dims: [values.length], data: Float32Array.from(values) },
});
const multiple = async (session: Session, x: number): Promise<number> =>
  Number((await session.run(numbers(x), ['multiple'], { give: true }))['multiple']!.data[0]);

/** Told the id of each process that begins to serve. */
let onProcess = (_pid: number) => {};
const logged: string[] = [];
const write = (details: object, message: string) => {
  logged.push(message);
  if (message === 'a process runs the models') onProcess((details as { enginePid: number }).enginePid);
};
const engine = new Engine({ maxBytes: 1e9, maxAgeMs: null, log: { info: write, warn: write, error: write } });
const host = new SessionHost({}, engine);

beforeAll(() => engine.checkRuns());
beforeEach(() => {
  logged.length = 0;
});
afterAll(() => engine.close());

it('gives the scores of a preference model in this thread, also of what was at hand when it was killed', async () => {
  const [here, there] = [
    await PreferenceModel.open(smallArtifact()),
    await PreferenceModel.open(smallArtifact(), host),
  ];
  const other = await new SessionHost({}, engine).open(model(3));
  const items = await there.itemVectors(encodedItems('engine', 8));
  const judged = items.slice(0, 3).map((item) => ({ item, sentiment: 'LIKE' as const, weight: 1 }));
  const before = engine.pid!;
  const asked = [
    there.itemVectors(encodedItems('engine', 8)),
    there.userStates([judged, []]),
    multiple(other, 7),
  ] as const;
  await setImmediate(); // they are on their way
  killOutright([before]);
  const [itemsAgain, states, product] = await Promise.all(asked);
  expect(itemsAgain).toEqual(items);
  expect(items).toEqual(await here.itemVectors(encodedItems('engine', 8)));
  expect(states).toEqual(await here.userStates([judged, []]));
  expect(product).toBe(21);
  const requests = states.map((state) => ({ state, targets: items }));
  expect(await there.score(requests)).toEqual(await here.score(requests));
  expect(engine.pid).not.toBe(before);
  expect(logged).toEqual([
    'the process that runs the models ended by SIGKILL: what it had at hand is done again on the next',
    'a process runs the models',
  ]);
  await Promise.all([here.close(), there.close()]);
});

it('fails what ends two processes, and goes on with what was beside it', async () => {
  const [bad, good] = await Promise.all([host.open(model(2)), host.open(model(3))]);
  onProcess = (pid) => {
    killOutright([pid]);
    onProcess = () => {};
  };
  const asked = [multiple(bad, 1), multiple(good, 1)] as const;
  await setImmediate();
  killOutright([engine.pid!]);
  await expect(asked[0]).rejects.toMatchObject({
    code: 'INTERNAL_SERVER_ERROR',
    message: expect.stringMatching(/ended by SIGKILL while it did this alone, .* it is not tried again/),
  });
  expect(await asked[1]).toBe(3);
  expect(await multiple(bad, 1)).toBe(2);
});

it('has another process take over with what is in use, and loses none of what is asked meanwhile', async () => {
  let made = 0;
  const [session, idle] = await Promise.all([
    host.open(model(2)),
    host.open(() => {
      made++;
      return model(3);
    }),
  ]);
  const before = engine.pid!;
  let replaced = false;
  const replacing = engine.replace('a test').then(() => {
    replaced = true;
  });
  let asked = 0;
  while (!replaced) {
    const xs = [asked++, asked++, asked++];
    expect(await Promise.all(xs.map((x) => multiple(session, x)))).toEqual(xs.map((x) => 2 * x));
  }
  await replacing;
  await untilGone([before]);
  expect(engine.pid).not.toBe(before);
  expect(made).toBe(2);
  expect([await multiple(idle, 1), made]).toEqual([3, 2]);
  expect(logged).toHaveLength(2); // no process was lost
});

it('goes on with the process that runs where no other can be had', async () => {
  const session = await host.open(model(2));
  const { pid } = engine;
  await withoutProcesses(() => engine.replace('a test'));
  expect([await multiple(session, 1), engine.pid]).toEqual([2, pid]);
  expect(logged.at(-1)).toBe('no other process could take over: the one that runs the models goes on');
});

it('says so where no process can be had, does not try without end, and runs once one can', async () => {
  const session = await host.open(model(2));
  await withoutProcesses(async () => {
    killOutright([engine.pid!]);
    await untilGone([engine.pid!]);
    await expect(multiple(session, 1)).rejects.toMatchObject({ code: 'NOT_READY' });
    let seconds = 0;
    while (seconds < 2) {
      const error = await engine.checkRuns().catch((error: Error) => error);
      seconds = Number(/is started again in (\d+) s/.exec(String(error))?.[1]);
    }
    const failures = logged.length;
    await expect(multiple(session, 1)).rejects.toMatchObject({ code: 'NOT_READY' });
    expect(logged).toHaveLength(failures);
  });
  while (
    !(await engine.checkRuns().then(
      () => true,
      () => false,
    ))
  );
  expect(await multiple(session, 1)).toBe(2);
});

it('ends with its parent, however that ends, and never keeps it', async () => {
  const [idle, killed] = [parent(false), parent(true)];
  const closed = Promise.all([idle, killed].map((child) => once(child, 'close')));
  const pids = await Promise.all([idle, killed].map(said));
  killed.kill('SIGKILL');
  await closed;
  expect(idle.exitCode).toBe(0);
  await untilGone(pids);
});

it('has a process replaced for its age, and for its memory once in a while', () => {
  const [minute, limits] = [60_000, { maxBytes: 1_000, maxAgeMs: 20 * 60_000 }];
  const why = (bytes: number, minutes: number, of = limits as Parameters<typeof whyReplace>[1]) =>
    whyReplace({ bytes, ageMs: minutes * minute }, of);
  expect([why(1_000, 19), why(1_001, 9)]).toEqual([null, null]);
  expect(why(1_001, 10)).toBe('it holds 1001 bytes of memory');
  expect(why(1, 20)).toBe('it is 20 minutes old');
  expect(why(1, 1_000, { ...limits, maxAgeMs: null })).toBeNull();
});

it('takes messages in any pieces, with arrays of every type and of no length', () => {
  const message = {
    arrays: [Float32Array.of(1.5, -0), new Float32Array(), BigInt64Array.of(-1n, 2n ** 40n), Int8Array.of(-1)],
    tensor: { dtype: 'float16', dims: [1, 3], data: Uint16Array.of(1, 2, 3).subarray(1) },
    bytes: Buffer.from('bytes'),
    text: 'Größe',
  };
  const channel = new PassThrough();
  for (const each of [message, {}, message]) writeFrame(channel, each);
  const bytes = channel.read() as Buffer;
  const taken: unknown[] = [];
  const reader = new FrameReader((whole) => taken.push(whole));
  for (const byte of bytes) reader.push(Buffer.of(byte));
  const inPieces = taken.splice(0);
  reader.push(bytes);
  expect(taken).toEqual(inPieces);
  const whole = { ...message, bytes: Uint8Array.from(message.bytes) };
  expect(taken).toEqual([whole, {}, whole]);
});

(process.platform === 'linux' ? it : it.skip)(
  'has large arrays go through an area that both have, while there is room',
  () => {
    const area = SharedArea.create()!;
    const channel = new PassThrough();
    const numbers = (length: number) => Float32Array.from({ length }, (_, i) => i);
    const messages = [5_001, 6_000, 3, 17_000_000].map((length) => ({ length, numbers: numbers(length) }));
    const places = messages.map((message) => writeFrame(channel, message, area));
    expect(places).toEqual([0, 20_480, null, null]); // whole pages; small ones and those too large follow their heads
    const bytes = channel.read() as Buffer;
    expect(bytes.length).toBeLessThan(4 * 17_000_000 + 1_000);
    const taken: unknown[] = [];
    const reader = new FrameReader((whole) => taken.push(whole), undefined, new SharedArea(area.file));
    reader.push(bytes);
    for (const [i, message] of messages.entries()) {
      const { numbers: same, ...rest } = taken[i] as (typeof messages)[number];
      expect([
        rest,
        Buffer.compare(Buffer.from(same.buffer, same.byteOffset, same.byteLength), Buffer.from(message.numbers.buffer)),
      ]).toEqual([{ length: message.length }, 0]);
    }
    area.free(0);
    expect(writeFrame(channel, { numbers: numbers(5_000) }, area)).toBe(0);
    expect(writeFrame(channel, { numbers: numbers(5_000) }, area)).toBe(45_056);
    area.close();
  },
);

/** A process with an engine, which says its engine's id. */
function parent(lasting: boolean): ChildProcess {
  const engineAt = JSON.stringify(new URL('../../src/inference/engine/engine.ts', import.meta.url));
  const script = `
    import { Engine, whyReplace } from ${engineAt};
    const ignore = () => {};
    const engine = new Engine({ maxBytes: 1e9, maxAgeMs: null, log: { info: ignore, warn: ignore, error: ignore } });
    await engine.checkRuns();
    console.log(engine.pid);
    if (${lasting}) setInterval(() => {}, 1000);`;
  return spawn(process.execPath, ['--import', TSX, '--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function said(child: ChildProcess): Promise<number> {
  const [bytes] = await once(child.stdout!, 'data');
  return Number(bytes);
}
