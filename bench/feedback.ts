/**
 * Judgements a second: `submitFeedback` of 500 over HTTP, beside the same rows by one raw INSERT … unnest of `pg` each,
 * and beside a row at a time. All three write on the same server, the raw ones into a table of their own with the same
 * columns, indexes, foreign keys and policies, as the service's own role.
 *
 *     npm run bench:feedback [-- --env NAME=VALUE] [--json FILE]
 *
 * Runs for about a minute. The tables are empty before each round, and what is written is committed as by default.
 * Submitting also finds the people and images by their ids, locks the people, makes their states stale, queues their
 * profiles, and answers what stands now: that is in its figure and not in the others'.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { serviceUrl } from '../src/database/serviceRole.ts';
import { idOf, newId } from '../src/domain/ids.ts';
import { PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { inDatabase, type ServedTenant, startDrawnService } from './support/drawnService.ts';
import { type DrawnTenant, imageId } from './support/drawnTenant.ts';
import { figure, median } from './support/measure.ts';
import { environmentOf, writeReport } from './support/report.ts';
import { ask } from './support/tenants.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    env: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds);
const ROWS = 500;
const BATCHES = 40;
/** A row at a time takes so much longer that fewer rows tell as much. */
const SINGLE_BATCHES = 2;
/** Of a batch: each judges ten images. */
const PEOPLE_A_BATCH = 50;
const SIZES = { people: 1000, images: 1000, judged: 0 };
/** Batches sent at once: one shows what a batch takes, several what the machine does. */
const WRITERS = [1, 4];
const SUBMIT = 'mutation ($input: SubmitFeedbackInput!) { submitFeedback(input: $input) { userErrors { code } } }';
const SENTIMENTS = ['LIKE', 'DISLIKE', 'SKIP'];

const INSERT = `INSERT INTO raw_feedback (tenant_id, id, user_id, image_id, sentiment, weight, comment, judged_at)
  SELECT $1::uuid, item.* FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::sentiment[], $6::float8[], $7::text[], $8::timestamptz[])
    AS item (id, user_id, image_id, sentiment, weight, comment, judged_at)
  ON CONFLICT (tenant_id, user_id, image_id) DO UPDATE SET sentiment = EXCLUDED.sentiment, weight = EXCLUDED.weight,
    comment = EXCLUDED.comment, judged_at = EXCLUDED.judged_at
  WHERE raw_feedback.judged_at <= EXCLUDED.judged_at`;

/** Rows of one batch, by their columns. */
interface Batch {
  readonly people: number[];
  readonly images: number[];
  readonly sentiments: string[];
}

const batches = Array.from({ length: BATCHES }, (_, batch) => makeBatch(batch));
const environment = environmentOf(values.env);
const model = await PreferenceModel.load(SHIPPED_MODEL);
const { tenants, dataDirectory, stop } = await startDrawnService({ model, sizes: SIZES, environment });
await model.close();
try {
  await inDatabase(dataDirectory, (url) => measure(url, tenants[0]!));
} finally {
  await stop();
}

async function measure(ownerUrl: string, tenant: ServedTenant): Promise<void> {
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  const writers = await Promise.all(
    Array.from({ length: Math.max(...WRITERS) }, () => rawWriter(serviceUrl(ownerUrl), tenant)),
  );
  try {
    await makeRawTable(owner, new URL(serviceUrl(ownerUrl)).username);
    const ways = {
      'submitFeedback of 500': { count: BATCHES, write: submitter(tenant) },
      'raw unnest of 500': {
        count: BATCHES,
        write: (batch: number, writer: number) => writers[writer]!.together(batch),
      },
      'raw, a row at a time': {
        count: SINGLE_BATCHES,
        write: (batch: number, writer: number) => writers[writer]!.apart(batch),
      },
    };
    const figures: Record<string, Record<string, number>> = {};
    for (const atOnce of WRITERS) {
      const rates: Record<string, number[]> = {};
      for (let round = 0; round <= ROUNDS; round++) {
        for (const [name, { count, write }] of Object.entries(ways)) {
          await owner.query('TRUNCATE feedback, raw_feedback');
          const rate = await rowsASecond(count, atOnce, write);
          if (round > 0) rates[name] = [...(rates[name] ?? []), rate]; // the first warms up
        }
      }
      figures[`${atOnce} at once`] = Object.fromEntries(
        Object.entries(rates).map(([name, seen]) => [name, median(seen)]),
      );
    }
    print(figures);
    await writeReport(values.json, {
      bench: 'feedback',
      settings: { environment, rows: ROWS, batches: BATCHES, peopleABatch: PEOPLE_A_BATCH, rounds: ROUNDS },
      figures,
    });
  } finally {
    for (const writer of writers) await writer.end();
    await owner.end();
  }
}

function print(figures: Readonly<Record<string, Readonly<Record<string, number>>>>): void {
  for (const [atOnce, rates] of Object.entries(figures)) {
    const raw = rates['raw unnest of 500']!;
    console.log(`rows a second, ${atOnce}:`);
    console.table(
      Object.fromEntries(
        Object.entries(rates).map(([name, rate]) => [
          name,
          { 'rows a second': figure(rate), 'of raw unnest': `${figure((100 * rate) / raw)} %` },
        ]),
      ),
    );
  }
}

/** So many batches, dealt to so many writers. */
async function rowsASecond(
  count: number,
  atOnce: number,
  write: (batch: number, writer: number) => Promise<unknown>,
): Promise<number> {
  const waiting = [...Array(count).keys()];
  const begun = performance.now();
  const writeAll = async (writer: number): Promise<void> => {
    for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) await write(batch, writer);
  };
  await Promise.all(Array.from({ length: atOnce }, (_, writer) => writeAll(writer)));
  return (1000 * count * ROWS) / (performance.now() - begun);
}

/** No pair of a person and an image comes twice, and no person is in two batches that are sent at once. */
function makeBatch(batch: number): Batch {
  const groups = SIZES.people / PEOPLE_A_BATCH;
  const each = ROWS / PEOPLE_A_BATCH;
  const rows = [...Array(ROWS).keys()];
  return {
    people: rows.map((row) => (batch % groups) * PEOPLE_A_BATCH + (row % PEOPLE_A_BATCH)),
    images: rows.map((row) => Math.floor(batch / groups) * each + Math.floor(row / PEOPLE_A_BATCH)),
    sentiments: rows.map((row) => SENTIMENTS[row % SENTIMENTS.length]!),
  };
}

function submitter({ url, serviceKey, drawn }: ServedTenant): (batch: number) => Promise<unknown> {
  const inputs = batches.map(({ people, images, sentiments }) => ({
    items: people.map((person, row) => ({
      user: { externalId: drawn.people[person]!.externalId },
      image: { id: imageId(drawn, images[row]!) },
      sentiment: sentiments[row]!,
    })),
  }));
  return (batch) => ask(url, serviceKey, SUBMIT, { input: inputs[batch]! });
}

/** A connection that is the tenant's for good: its statements are prepared, and each is a transaction. */
async function rawWriter(url: string, { id, drawn }: ServedTenant) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const tenantId = idOf('Tenant', id)!;
  await client.query("SELECT set_config('app.tenant_id', $1, false)", [tenantId]);
  const insert = (rows: readonly RawRow[]) =>
    client.query({ name: `insert ${rows.length}`, text: INSERT, values: [tenantId, ...columnsOf(rows)] });
  return {
    together: (batch: number) => insert(rawRows(drawn, batches[batch]!)),
    async apart(batch: number) {
      for (const row of rawRows(drawn, batches[batch]!)) await insert([row]);
    },
    end: () => client.end(),
  };
}

interface RawRow {
  readonly userId: string;
  readonly imageId: string;
  readonly sentiment: string;
}

function rawRows(drawn: DrawnTenant, { people, images, sentiments }: Batch): RawRow[] {
  return people.map((person, row) => ({
    userId: drawn.people[person]!.id,
    imageId: drawn.images[images[row]!]!.id,
    sentiment: sentiments[row]!,
  }));
}

function columnsOf(rows: readonly RawRow[]): unknown[][] {
  const now = new Date().toISOString();
  return [
    rows.map(newId),
    rows.map(({ userId }) => userId),
    rows.map((row) => row.imageId),
    rows.map(({ sentiment }) => sentiment),
    ...[rows.map(() => 1), rows.map(() => null), rows.map(() => now)],
  ];
}

/** The table `feedback` once more: columns, defaults, checks and indexes, foreign keys, policies and grants. */
async function makeRawTable(owner: pg.Client, role: string): Promise<void> {
  await owner.query('CREATE TABLE raw_feedback (LIKE feedback INCLUDING ALL)');
  const keys = await owner.query<{ definition: string }>(
    "SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = 'feedback'::regclass AND contype = 'f'",
  );
  for (const { definition } of keys.rows) await owner.query(`ALTER TABLE raw_feedback ADD ${definition}`);
  await owner.query(
    'ALTER TABLE raw_feedback ENABLE ROW LEVEL SECURITY; ALTER TABLE raw_feedback FORCE ROW LEVEL SECURITY',
  );
  const policies = await owner.query<{ name: string; kind: string; condition: string }>(
    "SELECT policyname AS name, permissive AS kind, qual AS condition FROM pg_policies WHERE tablename = 'feedback'",
  );
  for (const { name, kind, condition } of policies.rows) {
    const own = condition.replaceAll(/\bfeedback\./g, 'raw_feedback.');
    await owner.query(`CREATE POLICY ${name} ON raw_feedback AS ${kind} USING (${own})`);
  }
  await owner.query(`GRANT SELECT, INSERT, UPDATE ON raw_feedback TO ${pg.escapeIdentifier(role)}`);
}
