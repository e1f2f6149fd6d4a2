/** The batcher's rules, one by one, by a clock that the test moves and an engine that answers when it is told to. */
import { Batcher, type BatcherOptions, type Clock, type Waiting } from '../../src/inference/batcher.ts';
import { settled } from '../support/eventLoop.ts';

/** Stands still until it is moved. */
class TestClock implements Clock {
  #now = 0;
  #alarms: { at: number; work: () => void }[] = [];
  now = () => this.#now;
  after = (ms: number, work: () => void) => {
    const alarm = { at: this.#now + ms, work };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  };
  async pass(ms: number): Promise<void> {
    this.#now += ms;
    const due = this.#alarms.filter(({ at }) => at <= this.#now);
    this.#alarms = this.#alarms.filter(({ at }) => at > this.#now);
    for (const { work } of due) work();
    await settled();
  }
}

/** A batcher of words, each batch of which the test sees and answers. */
function testBatcher(options: Partial<BatcherOptions<string, string>> = {}) {
  const clock = new TestClock();
  const batches: string[][] = [];
  const running: { batch: readonly string[]; resolve: (results: string[]) => void; reject: (error: Error) => void }[] =
    [];
  const batcher = new Batcher<string, string>({
    ...{ maxRows: 10, waitMs: 2, maxRunning: 1, maxQueuedRows: 100, clock },
    run: (batch) => {
      batches.push([...batch]);
      return new Promise((resolve, reject) => running.push({ batch, resolve, reject }));
    },
    ...options,
  });
  const outcomes = new Map<string, unknown>();
  return {
    ...{ clock, batches, outcomes },
    /** A job in lane `a`, of one row, unless told. */
    async ask(work: string, rows = 1, waiting: Partial<Waiting> = {}) {
      void batcher.submit(work, rows, { lane: 'a', ...waiting }).then(
        (result) => outcomes.set(work, result),
        (error) => outcomes.set(work, error),
      );
      await settled();
    },
    /** Ends the batch that runs. */
    async answer(error?: Error) {
      const { batch, resolve, reject } = running.shift()!;
      if (error) reject(error);
      else resolve(batch.map((work) => work.toUpperCase()));
      await settled();
    },
  };
}

const overloaded = (message: RegExp) => ({ code: 'OVERLOADED', message: expect.stringMatching(message) });
/** Keeps the engine busy with a job that is none of the test's. */
const busy = async ({ ask, clock, batches }: ReturnType<typeof testBatcher>) => {
  await ask('busy', 10, { lane: 'other' });
  await clock.pass(2);
  batches.length = 0;
};

it('begins a batch when the oldest has waited its time, and gives each job its own result', async () => {
  const { ask, answer, clock, batches, outcomes } = testBatcher();
  await ask('one');
  await clock.pass(1);
  await ask('two');
  await clock.pass(0.9);
  expect(batches).toEqual([]);
  await clock.pass(0.1);
  expect(batches).toEqual([['one', 'two']]);
  await answer();
  expect([...outcomes]).toEqual([
    ['one', 'ONE'],
    ['two', 'TWO'],
  ]);
});

it('begins at once when there are rows enough', async () => {
  const { ask, batches } = testBatcher();
  await ask('one', 6);
  expect(batches).toEqual([]);
  await ask('two', 4);
  expect(batches).toEqual([['one', 'two']]);
});

it('waits for nothing but the engine where there is no time to wait', async () => {
  const { ask, answer, batches } = testBatcher({ waitMs: 0 });
  for (const work of ['one', 'two', 'three']) await ask(work);
  expect(batches).toEqual([['one']]);
  await answer();
  expect(batches).toEqual([['one'], ['two', 'three']]);
});

it('runs one batch at a time; the next gathers meanwhile, as large as a batch may be', async () => {
  const tested = testBatcher();
  await busy(tested);
  const { ask, answer, clock, batches } = tested;
  for (const work of ['one', 'two', 'three']) await ask(work, 4);
  await clock.pass(100);
  expect(batches).toEqual([]);
  await answer();
  expect(batches).toEqual([['one', 'two']]);
  await answer();
  expect(batches).toEqual([['one', 'two'], ['three']]);
});

it('runs a job that is larger than a batch by itself', async () => {
  const { ask, answer, batches, clock } = testBatcher({ waitMs: 0, maxRows: 3 });
  await ask('large', 50);
  await ask('small');
  await clock.pass(0);
  await answer();
  expect(batches).toEqual([['large'], ['small']]);
});

it('refuses at once what is beyond its bound', async () => {
  const tested = testBatcher({ maxQueuedRows: 20 });
  await busy(tested);
  const { ask, outcomes } = tested;
  for (const lane of ['a', 'b', 'c', 'd']) await ask(lane, 5, { lane });
  await ask('more', 1, { lane: 'e' });
  expect([...outcomes.keys()]).toEqual(['more']);
  expect(outcomes.get('more')).toMatchObject(
    overloaded(/^20 rows wait for the model, as much as may: send this again/),
  );
});

it('lets one lane hold half of it', async () => {
  const tested = testBatcher({ maxQueuedRows: 20 });
  await busy(tested);
  const { ask, outcomes } = tested;
  await ask('half', 10, { lane: 'a' });
  await ask('more', 1, { lane: 'a' });
  await ask('other', 10, { lane: 'b' });
  expect([...outcomes.keys()]).toEqual(['more']);
  expect(outcomes.get('more')).toMatchObject(
    overloaded(/^10 rows of this tenant wait for the model, half of what may/),
  );
});

it('keeps room for people, however much waits in the background', async () => {
  const tested = testBatcher({ maxQueuedRows: 20 });
  await busy(tested);
  const { ask, outcomes } = tested;
  for (const lane of ['a', 'b']) await ask(lane, 10, { lane, background: true });
  await ask('person', 10);
  expect(outcomes.size).toBe(0);
});

it('computes nothing whose time is up', async () => {
  const tested = testBatcher();
  await busy(tested);
  const { ask, answer, clock, batches, outcomes } = tested;
  await ask('soon', 1, { deadline: 10 });
  await ask('later', 1, { deadline: 11 });
  await clock.pass(8);
  await answer();
  expect(batches).toEqual([['later']]);
  expect(outcomes.get('soon')).toMatchObject(overloaded(/^This waited for the model until its time was up/));
});

it('computes nothing that nobody waits for any more, and has its room again', async () => {
  const tested = testBatcher({ maxQueuedRows: 20 });
  await busy(tested);
  const { ask, answer, batches, outcomes } = tested;
  const gone = new AbortController();
  await ask('gone', 10, { signal: gone.signal });
  gone.abort(new Error('gone'));
  await ask('asked too late', 1, { signal: gone.signal });
  await ask('stays', 10);
  await answer();
  expect(batches).toEqual([['stays']]);
  expect([outcomes.get('gone'), outcomes.get('asked too late')]).toEqual([new Error('gone'), new Error('gone')]);
});

it('has people go before background work, which is in every eighth batch', async () => {
  const tested = testBatcher();
  await busy(tested);
  const { ask, answer, batches } = tested;
  await ask('background', 10, { background: true });
  for (let i = 0; i < 9; i++) {
    await ask(`person ${i}`, 10);
    await answer();
  }
  expect(batches.findIndex(([work]) => work === 'background')).toBe(7);
  expect(batches.filter(([work]) => work!.startsWith('person'))).toHaveLength(8);
});

it('runs background work at once where nobody else asks', async () => {
  const { ask, batches, clock } = testBatcher();
  await ask('background', 1, { background: true });
  await clock.pass(2);
  expect(batches).toEqual([['background']]);
});

it('has lanes take turns in rows: one that floods slows itself alone', async () => {
  const tested = testBatcher({ maxRows: 256, maxQueuedRows: 10_000 });
  await busy(tested);
  const { ask, answer, batches } = tested;
  for (let i = 0; i < 40; i++) await ask(`flood ${i}`, 64, { lane: 'flood' });
  await ask('small one', 1, { lane: 'one' });
  await ask('large two', 128, { lane: 'two' });
  await answer();
  // One turn each; the large one is let in with its second, for which the flood has had one more.
  expect(batches).toEqual([['flood 0', 'small one', 'flood 1']]);
  await answer();
  expect(batches[1]!.slice(0, 2)).toEqual(['large two', 'flood 2']);
});

it('gives lanes of small jobs and of large ones as many rows', async () => {
  const tested = testBatcher({ maxRows: 64, maxQueuedRows: 10_000 });
  await busy(tested);
  const { ask, answer, batches } = tested;
  for (let i = 0; i < 100; i++) await ask('small', 8, { lane: 'small' });
  for (let i = 0; i < 20; i++) await ask('large', 60, { lane: 'large' });
  for (let i = 0; i < 20; i++) await answer();
  const rows = (work: string, each: number) => each * batches.flat().filter((other) => other === work).length;
  expect(Math.abs(rows('small', 8) - rows('large', 60))).toBeLessThanOrEqual(128);
});

it('gives the engine as many batches at once as it may have, and gathers the next meanwhile', async () => {
  const { ask, answer, clock, batches, outcomes } = testBatcher({ maxRunning: 2 });
  await ask('one');
  await clock.pass(2);
  await ask('two');
  await clock.pass(2);
  await ask('three');
  await ask('four');
  await clock.pass(2);
  expect(batches).toEqual([['one'], ['two']]);
  await answer();
  expect(batches[2]).toEqual(['three', 'four']);
  await answer();
  await answer();
  expect([...outcomes.keys()]).toEqual(['one', 'two', 'three', 'four']);
});

it('runs each job of a batch that fails by itself, and fails those alone that fail again', async () => {
  const { ask, answer, clock, batches, outcomes } = testBatcher();
  await ask('one');
  await ask('two');
  await clock.pass(2);
  await ask('three');
  await answer(new Error('the engine died'));
  await answer();
  await answer(new Error('broken'));
  await clock.pass(2);
  await answer();
  expect(batches).toEqual([['one', 'two'], ['one'], ['two'], ['three']]);
  expect([...outcomes]).toEqual([
    ['one', 'ONE'],
    ['two', new Error('broken')],
    ['three', 'THREE'],
  ]);
});
