/** Turns of the event loop: a crowd leaves room for what else happens, and for other lanes. */
import { turn } from '../../src/scheduling/eventLoop.ts';

/** Keeps the thread. */
function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

it('lets the loop look at everything else while a crowd goes on', async () => {
  let looks = 0;
  let watching = true;
  const look = () => {
    looks++;
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      await turn('crowd');
      await null; // what goes on may do so in several steps
      busy(2);
      order.push(i);
    }),
  );
  watching = false;
  expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(looks).toBeGreaterThan(10); // 100 ms in slices of 5 to 7
});

it('has lanes take turns, however many wait in one', async () => {
  const order: string[] = [];
  const going = (lane: string) => turn(lane).then(() => order.push(lane));
  const crowd = Array.from({ length: 100 }, () => going('crowd'));
  await going('one');
  expect(order.length).toBeLessThanOrEqual(3);
  await Promise.all(crowd);
  expect(order).toHaveLength(101);
});

it('goes on when one that had its turn fails', async () => {
  const failing = turn('a').then(() => {
    throw new Error('failed');
  });
  const next = turn('a');
  await expect(failing).rejects.toThrow('failed');
  await next;
});
