/** Reads of many requests made together: what is joined, what never is, and that nobody reads what was before they asked. */
import { withPerson, withTenant } from '../../src/database/client.ts';
import { SharedReads } from '../../src/database/sharedReads.ts';
import { settled } from '../support/eventLoop.ts';

const [ONE, OTHER, PERSON] = ['1', '2', '3'].map((digit) => `${digit.repeat(8)}-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];

/** Reads whose statements the test sees and ends. */
function testReads() {
  const sent: { keys: readonly string[]; scope: string; end: (error?: Error) => Promise<void> }[] = [];
  const reads = new SharedReads<string, string>(
    (keys, scope) =>
      new Promise((resolve, reject) => {
        const answer = new Map(keys.map((key) => [key, `${key} of statement ${sent.length}`]));
        const end = async (error?: Error) => {
          if (error) reject(error);
          else resolve(answer);
          await settled();
        };
        sent.push({ keys, scope, end });
      }),
  );
  return { reads, sent };
}

const as = <T>(work: () => Promise<T>) => withTenant(ONE, work);

it('sends what is asked for at once in one statement, and all that comes meanwhile in one behind it', async () => {
  const { reads, sent } = testReads();
  const first = as(() => reads.read(['a']));
  const withFirst = as(() => reads.read(['b', 'a']));
  await settled();
  const second = as(() => reads.read(['b']));
  const third = as(() => reads.read(['c', 'b']));
  await settled();
  expect(sent.map(({ keys }) => keys)).toEqual([['a', 'b']]);
  await sent[0]!.end();
  expect(sent.map(({ keys }) => keys)).toEqual([
    ['a', 'b'],
    ['b', 'c'],
  ]);
  await sent[1]!.end();
  expect((await first).get('a')).toBe('a of statement 0');
  expect((await withFirst).get('b')).toBe('b of statement 0');
  expect((await second).get('b')).toBe('b of statement 1'); // asked after the first was sent: what it wrote is there
  expect((await third).get('c')).toBe('c of statement 1');
  void as(() => reads.read(['d']));
  await settled();
  expect(sent).toHaveLength(3);
});

it('joins nothing of other tenants, people or scopes', async () => {
  const { reads, sent } = testReads();
  void as(() => reads.read(['a']));
  void withTenant(OTHER, () => reads.read(['a']));
  void withPerson(ONE, PERSON, () => reads.read(['a']));
  void as(() => reads.read(['a'], 'scope'));
  await settled();
  expect(sent.map(({ scope }) => scope)).toEqual(['', '', '', 'scope']);
});

it('fails those whose statement failed, and goes on', async () => {
  const { reads, sent } = testReads();
  const failing = as(() => reads.read(['a'])).catch((error: Error) => error.message);
  await settled();
  const behind = as(() => reads.read(['b']));
  await settled();
  await sent[0]!.end(new Error('gone'));
  await sent[1]!.end();
  expect(await failing).toBe('gone');
  expect((await behind).get('b')).toBe('b of statement 1');
});

it('throws outside of a session', async () => {
  await expect(testReads().reads.read(['a'])).rejects.toThrow('A query was made for no tenant');
});

it('goes on after a statement that could not even be made', async () => {
  let broken = true;
  const reads = new SharedReads<string, string>((keys) => {
    if (broken) throw new Error('no statement');
    return Promise.resolve(new Map(keys.map((key) => [key, key])));
  });
  await expect(as(() => reads.read(['a']))).rejects.toThrow('no statement');
  broken = false;
  expect((await as(() => reads.read(['a']))).get('a')).toBe('a');
});
