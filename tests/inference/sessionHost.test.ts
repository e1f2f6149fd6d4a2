/** Many models in one thread: the numbers of this thread, memory given up, and a thread that dies. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import type { HostRequest } from '../../src/inference/carrier.ts';
import { PreferenceModel } from '../../src/inference/preferenceModel.ts';
import type { Session, Tensors } from '../../src/inference/session.ts';
import { SessionHost } from '../../src/inference/sessionHost.ts';
import { Graph, scale } from '../../src/onnx/index.ts';
import { encodedItems, smallArtifact } from '../support/model.ts';

/** Each thread that was started, and what it was asked. */
const asked = new Map<Worker, (HostRequest | null)[]>();
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (this: Worker, ...args: Parameters<typeof post>) {
  asked.set(this, [...(asked.get(this) ?? []), args[0]]);
  return Reflect.apply(post, this, args);
};
const lastThread = (): Worker => [...asked.keys()].at(-1)!;
const askedTo = (kind: HostRequest['kind'], thread = lastThread()): number =>
  asked.get(thread)!.filter((request) => request?.kind === kind).length;

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
  Number((await session.run(numbers(x)))['multiple']!.data[0]);

let host: SessionHost;
beforeEach(() => {
  asked.clear();
  host = new SessionHost();
});
afterEach(() => host.close());

it('runs each of many models in one thread', async () => {
  const sessions = await Promise.all([2, 3, 4].map((times) => host.open(() => model(times))));
  expect(await Promise.all(sessions.map((session) => multiple(session, 10)))).toEqual([20, 30, 40]);
  expect(asked.size).toBe(1);
});

it('takes the memory of what is given up, and leaves the rest', async () => {
  const session = await host.open(model(2));
  const [kept, given] = [numbers(1, 2), numbers(1, 2)];
  await session.run(kept);
  const { multiple } = await session.run(given, ['multiple'], { give: true });
  expect(kept['x']!.data).toHaveLength(2);
  expect(given['x']!.data).toHaveLength(0);
  expect(multiple!.data).toEqual(Float32Array.of(2, 4));
});

it('closes one model and goes on with the others', async () => {
  const [one, other] = [await host.open(model(2)), await host.open(model(3))];
  await one.close();
  expect(askedTo('close')).toBe(1);
  await expect(one.run(numbers(1))).rejects.toThrow("The model's session is closed.");
  expect(await multiple(other, 1)).toBe(3);
});

it('closes what nobody holds any more', async () => {
  await host.open(model(2)); // and drops it
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  while (askedTo('close') === 0) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(askedTo('close')).toBe(1);
});

it('opens models again, once each, on a new thread after one that ended', async () => {
  let made = 0;
  const session = await host.open(() => {
    made++;
    return model(2);
  });
  const other = await host.open(model(3));
  await lastThread().terminate();
  expect(await Promise.all([1, 2, 3].map((x) => multiple(session, x)))).toEqual([2, 4, 6]);
  expect([made, asked.size, askedTo('open')]).toEqual([2, 2, 1]);
  expect(await multiple(other, 1)).toBe(3);
  expect([asked.size, askedTo('open')]).toEqual([2, 2]);
});

it('says that the thread failed to whoever it was working for, and to nobody after', async () => {
  const session = await host.open(model(2));
  post.call(lastThread(), null); // what no thread can read
  await expect(session.run(numbers(1))).rejects.toMatchObject({
    code: 'INTERNAL_SERVER_ERROR',
    message: expect.stringMatching(/^The thread that runs the models failed: Cannot read properties of null/),
  });
  expect(await multiple(session, 1)).toBe(2);
});

it('opens nothing more once it is closed', async () => {
  const session = await host.open(model(2));
  await host.close();
  await expect(session.run(numbers(1))).rejects.toThrow("The model's session is closed.");
  await expect(host.open(model(2))).rejects.toThrow("The model's session is closed.");
});

it('gives the scores of a preference model in this thread, with attention where it is asked for', async () => {
  const [here, there] = [
    await PreferenceModel.open(smallArtifact()),
    await PreferenceModel.open(smallArtifact(), host),
  ];
  const items = await there.itemVectors(encodedItems('hosted', 8));
  expect(items).toEqual(await here.itemVectors(encodedItems('hosted', 8)));
  const judged = items.slice(0, 3).map((item) => ({ item, sentiment: 'LIKE' as const, weight: 1 }));
  const states = await there.userStates([judged, []]);
  expect(states).toEqual(await here.userStates([judged, []]));
  const requests = states.map((state) => ({ state, targets: items }));
  const scores = await there.score(requests);
  expect(scores).toEqual(await here.score(requests));
  const margins = scores.map((of) =>
    of.map(({ like, dislike, value, standardError }) => ({ like, dislike, value, standardError })),
  );
  expect(await there.score(requests, { attention: false })).toEqual(margins);
  await Promise.all([here.close(), there.close()]);
  expect(askedTo('close')).toBe(3);
});
