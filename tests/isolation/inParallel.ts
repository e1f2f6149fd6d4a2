/** Many requests, some at a time: as fast as a small machine answers them, and none waits so long that it is dropped. */

/** Requests at a time: two cores are busy with these. */
const AT_ONCE = 8;

/** Does `work` for every item; throws what the first to fail threw, when all have ended. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const failures: unknown[] = [];
  const workers = Array.from({ length: AT_ONCE }, async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      await work(item).catch((error: unknown) => failures.push(error));
    }
  });
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
}
