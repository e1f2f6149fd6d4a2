/**
 * Kills the service, and in half of the kills its database too, while people judge; starts it again on the same folder,
 * and holds what is there against what was acknowledged. Only processes that it started itself.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedServer } from '../../../src/database/embeddedServer.ts';
import { type NodeType, toGlobalId } from '../../../src/domain/ids.ts';
import { gallery } from '../../../src/gallery/gallery.ts';
import { renderPicture } from '../../../src/gallery/picture.ts';
import { Random } from '../../../src/random.ts';
import { makeDataDirectory, type RunningService, startService } from '../service.ts';
import { type ComparisonRow, type FeedbackRow, Ledger } from './ledger.ts';
import { childrenOf, killOutright, untilGone } from './processes.ts';
import { Draughtsman, Refused, type Submission, send } from './submissions.ts';

const WRITERS = 4;
const PEOPLE = 6;
const PICTURES = 12;
/** How many acknowledgements a kill waits for, at most; the moment after the last is drawn too. */
const MOST_ACKNOWLEDGED = 60;
const MOMENT_MS = 50;
/** A slow machine acknowledges fewer. */
const WRITE_MS = 10_000;
/** Between the death of the one and of the other, where both die. */
const APART_MS = 30;
/** Acknowledged keys sent again after each kill; at the end, all of them. */
const REPLAYED_AFTER_A_KILL = 30;
const REPLAYS_AT_ONCE = 4;
/** A first request whose connection died is undone as soon as the database notices. */
const IN_PROGRESS_MS = 10_000;
const LOOK_MS = 200;
const FAULTS_SHOWN = 20;

/** One kill: what happened around it. */
export interface Kill {
  readonly withDatabase: boolean;
  readonly acknowledged: number;
  /** Requests that nothing answered, because of the kill. */
  readonly cutOff: number;
  /** Of those, sent again by their key. */
  readonly sentAgain: number;
  /** From its start to its readiness. */
  readonly restartMs: number;
}

export interface KillReport {
  readonly kills: readonly Kill[];
  readonly judgements: number;
  readonly comparisons: number;
  /** Acknowledged keys sent again, after the kills and at the end. */
  readonly replays: number;
  /** What was lost, doubled, invented or changed; empty, if all is well. */
  readonly faults: readonly string[];
}

export interface KillOptions {
  readonly kills: number;
  readonly seed: string;
  readonly told?: (kill: Kill, number: number) => void;
}

/** Runs the kills, every other one with the database, in an order of the seed; stops at the first fault. */
export async function runKills({ kills, seed, told }: KillOptions): Promise<KillReport> {
  const dataDirectory = await makeDataDirectory();
  const random = new Random(`kill/${seed}`);
  const which = random.shuffle(Array.from({ length: kills }, (_, i) => i % 2 === 0));
  const ledger = new Ledger();
  const done: Kill[] = [];
  const faults: string[] = [];
  let replays = 0;
  let service = await startService({ dataDirectory });
  try {
    const draughtsman = new Draughtsman(await addPeople(service), await addPictures(service));
    const check = async () => faults.push(...(await compare(dataDirectory, service.tenantId, ledger)));
    for (const [number, withDatabase] of which.entries()) {
      const round = random.split(number);
      const before = ledger.submissions.length;
      faults.push(...(await writeUntilKilled(service, dataDirectory, withDatabase, ledger, draughtsman, round)));
      const started = performance.now();
      service = await startService({ dataDirectory });
      const restartMs = performance.now() - started;
      await check();
      const sent = ledger.submissions.slice(before);
      const cutOff = sent.filter(({ answer }) => answer === null);
      const again = cutOff.filter(({ key }) => key !== null);
      faults.push(...(await sendAgain(service, ledger, again)));
      await check();
      const known = ledger.submissions.filter(({ key, answer }) => key !== null && answer !== null);
      const some = round.choose(known, Math.min(REPLAYED_AFTER_A_KILL, known.length));
      faults.push(...(await replay(service, dataDirectory, some)));
      replays += some.length;
      const kill = {
        ...{ withDatabase, restartMs, cutOff: cutOff.length, sentAgain: again.length },
        acknowledged: sent.length - cutOff.length,
      };
      done.push(kill);
      told?.(kill, number + 1);
      if (faults.length > 0) break;
    }
    const keyed = ledger.submissions.filter(({ key, answer }) => key !== null && answer !== null);
    faults.push(...(await replay(service, dataDirectory, keyed)));
    replays += keyed.length;
    await check();
  } finally {
    await service.stop();
    // A service that was killed and did not start again has left its database running.
    await (await startEmbeddedServer(join(dataDirectory, 'database'))).stop();
    await rm(dataDirectory, { recursive: true, force: true });
  }
  const acknowledged = ledger.submissions.filter(({ answer }) => answer !== null);
  const judgements = acknowledged.flatMap((sent) => (sent.kind === 'feedback' ? sent.judgements : [])).length;
  const comparisons = acknowledged.filter(({ kind }) => kind === 'comparison').length;
  return { kills: done, judgements, comparisons, replays, faults: faults.slice(0, FAULTS_SHOWN) };
}

/** Lets the writers write for a while, kills, and waits until all of it is dead. */
async function writeUntilKilled(
  service: RunningService,
  dataDirectory: string,
  withDatabase: boolean,
  ledger: Ledger,
  draughtsman: Draughtsman,
  random: Random,
): Promise<string[]> {
  const faults: string[] = [];
  let dying = false;
  let left = 1 + random.int(MOST_ACKNOWLEDGED);
  const enough = new AbortController();
  const write = async (writer: Random): Promise<void> => {
    for (;;) {
      const submission = draughtsman.draw(writer);
      ledger.note(submission);
      try {
        ledger.acknowledge(submission, await send(service, submission));
        if (--left === 0) enough.abort();
      } catch (error) {
        if (!dying) faults.push(`refused before any kill: ${(error as Error).message}`);
        return;
      }
    }
  };
  const database = withDatabase ? await databaseProcesses(dataDirectory) : () => Promise.resolve([]);
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(random.split(`writer ${writer}`)));
  await delay(WRITE_MS, undefined, { signal: enough.signal }).catch(() => {}); // enough of them, in time
  await delay(random.between(0, MOMENT_MS));
  const servicePid = service.process.pid!;
  const databasePids = await database();
  const order = random.shuffle([[servicePid], databasePids]);
  dying = true;
  killOutright(order[0]!);
  if (withDatabase) await delay(random.between(0, APART_MS));
  killOutright(order[1]!);
  await Promise.all([untilGone([servicePid, ...databasePids]), ...writers]);
  return faults;
}

/** Lists the database's processes when asked: its children change from moment to moment. */
async function databaseProcesses(dataDirectory: string): Promise<() => Promise<number[]>> {
  const { pid, stop } = await startEmbeddedServer(join(dataDirectory, 'database'));
  await stop();
  return async () => [pid, ...(await childrenOf(pid))];
}

/** Sends by their keys what was cut off: each is made now, or was made then and is answered. */
async function sendAgain(
  service: RunningService,
  ledger: Ledger,
  submissions: readonly Submission[],
): Promise<string[]> {
  return each(submissions, async (submission) => {
    ledger.acknowledge(submission, await patiently(() => send(service, submission)));
    return [];
  });
}

/** Sends acknowledged keys again: the same ids must come, and no row may change. */
async function replay(
  service: RunningService,
  dataDirectory: string,
  submissions: readonly Submission[],
): Promise<string[]> {
  const before = await withRows(dataDirectory, digests);
  const faults = await each(submissions, async (submission) => {
    const ids = await send(service, submission);
    const [now, then] = [ids.join(' '), submission.answer?.join(' ')];
    return now === then ? [] : [`key ${submission.key}: answered ${now}, and ${then} before`];
  });
  const after = await withRows(dataDirectory, digests);
  for (const [table, digest] of Object.entries(before)) {
    if (after[table] !== digest) faults.push(`replayed keys changed ${table}: ${digest} before, ${after[table]} after`);
  }
  return faults;
}

/** Some at a time; a failure is a fault of the service. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<string[]>): Promise<string[]> {
  const waiting = [...items];
  const faults: string[] = [];
  const next = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      faults.push(...(await work(item).catch((error: Error) => [`sent again, refused: ${error.message}`])));
    }
  };
  await Promise.all(Array.from({ length: REPLAYS_AT_ONCE }, next));
  return faults;
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + IN_PROGRESS_MS; ; await delay(100)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused && error.inProgress) || Date.now() > deadline) throw error;
    }
  }
}

async function compare(dataDirectory: string, tenantId: string, ledger: Ledger): Promise<string[]> {
  return withRows(dataDirectory, async (client) => {
    const ids = (type: NodeType, list: readonly string[]) => list.map((id) => toGlobalId(type, id));
    const { rows: feedback } = await client.query<Omit<FeedbackRow, 'judgedAt'> & { judgedAt: Date }>(
      `SELECT id, user_id AS "userId", image_id AS "imageId", sentiment, weight, comment, judged_at AS "judgedAt"
       FROM feedback WHERE tenant_id = $1`,
      [tenantId],
    );
    const { rows: comparisons } = await client.query<Omit<ComparisonRow, 'judgedAt'> & { judgedAt: Date }>(
      `SELECT id, user_id AS "userId", chosen_id AS "chosenId", judged_at AS "judgedAt",
         ARRAY(SELECT image_id::text FROM comparison_others AS other
           WHERE other.tenant_id = comparisons.tenant_id AND comparison_id = comparisons.id ORDER BY position) AS "otherIds"
       FROM comparisons WHERE tenant_id = $1`,
      [tenantId],
    );
    return ledger.faults(
      feedback.map((row) => ({
        ...row,
        id: toGlobalId('Feedback', row.id),
        userId: toGlobalId('User', row.userId),
        imageId: toGlobalId('Image', row.imageId),
        judgedAt: row.judgedAt.toISOString(),
      })),
      comparisons.map((row) => ({
        id: toGlobalId('Comparison', row.id),
        userId: toGlobalId('User', row.userId),
        chosenId: toGlobalId('Image', row.chosenId),
        otherIds: ids('Image', row.otherIds),
        judgedAt: row.judgedAt.toISOString(),
      })),
    );
  });
}

/** Rows and their contents, a table each. */
async function digests(client: pg.Client): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const table of ['feedback', 'comparisons', 'comparison_others', 'idempotency_keys', 'users']) {
    const { rows } = await client.query<{ digest: string }>(
      `SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) AS digest FROM ${table} t`,
    );
    found[table] = rows[0]!.digest;
  }
  return found;
}

/** Looks into the database beside the service, as its superuser. */
async function withRows<T>(dataDirectory: string, look: (client: pg.Client) => Promise<T>): Promise<T> {
  const server = await startEmbeddedServer(join(dataDirectory, 'database'));
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    return await look(client);
  } finally {
    await client.end();
    await server.stop();
  }
}

async function addPeople({ query }: RunningService): Promise<string[]> {
  const items = Array.from({ length: PEOPLE }, (_, i) => ({ externalId: `person ${i}` }));
  const { upsertUsers } = await query<{ upsertUsers: { users: { id: string }[] } }>(
    'mutation ($items: [UpsertUserItem!]!) { upsertUsers(input: { items: $items }) { users { id } } }',
    { items },
  );
  return upsertUsers.users.map(({ id }) => id);
}

/** Answers when they are encoded: an encoding that goes on raises the versions of who judged the picture meanwhile. */
async function addPictures({ url, serviceKey, query }: RunningService): Promise<string[]> {
  const ids: string[] = [];
  for (const picture of gallery(PICTURES)) {
    const response = await fetch(`${url}/images`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/octet-stream' },
      body: await renderPicture(picture),
    });
    if (!response.ok) throw new Error(`${picture.name}: ${response.status} ${await response.text()}`);
    ids.push(((await response.json()) as { id: string }).id);
  }
  for (;;) {
    const { images } = await query<{ images: { totalCount: number } }>('{ images(status: PENDING) { totalCount } }');
    if (images.totalCount === 0) return ids;
    await delay(LOOK_MS);
  }
}
