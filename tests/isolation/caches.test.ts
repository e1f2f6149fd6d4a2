/**
 * Twins: two tenants with the same names, the same pictures and the same ids of every row, whose people judged the other
 * way round and whose pictures stand under each other's ids. What is kept in memory by anything less than the tenant
 * answers the one with the other's.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { withTenant } from '../../src/database/client.ts';
import { Candidates } from '../../src/domain/candidates.ts';
import { fromGlobalId } from '../../src/domain/ids.ts';
import { ImageCatalogues } from '../../src/domain/imageCatalogue.ts';
import { ProfileIndexes } from '../../src/domain/profileIndexes.ts';
import { UserStates } from '../../src/domain/userStates.ts';
import { picture, type TestService, type TestTenant, testService } from '../http/service.ts';

const COLOURS = ['#ff0000', '#00ff00', '#0000ff'];
const CACHE_BYTES = 50_000_000;

let service: TestService;
let owner: pg.Client;
let one: TestTenant;
let twin: TestTenant;
let images: string[];

beforeAll(async () => {
  service = await testService();
  owner = new pg.Client({ connectionString: service.test.ownerUrl });
  await owner.connect();
  [one, twin] = [await service.tenant(), await service.tenant()];
  const [ada, bob] = (await one.people('ada', 'bob')) as [string, string];
  images = [];
  for (const colour of COLOURS) images.push(await one.upload(colour, { externalId: colour, prompt: `all ${colour}` }));
  await one.encode();
  await one.judge(ada, 'LIKE', images[0]!);
  await one.judge(ada, 'DISLIKE', images[1]!);
  await one.judge(bob, 'LIKE', images[1]!, images[2]!);
  await makeTwin();
});
afterAll(async () => {
  await owner.end();
  await service.close();
});

/** Copies every row under the twin's tenant: judgements turned round, each picture under the id of the one before. */
async function makeTwin(): Promise<void> {
  for (const statement of [
    `UPDATE models SET id = (SELECT id FROM models WHERE tenant_id = $1) WHERE tenant_id = $2`,
    `INSERT INTO users (tenant_id, id, external_id, feedback_version)
       SELECT $2, id, external_id, feedback_version FROM users WHERE tenant_id = $1`,
    `CREATE TEMPORARY TABLE turned AS
       SELECT id, coalesce(lead(id) OVER (ORDER BY id), first_value(id) OVER (ORDER BY id)) AS from_id
       FROM images`,
    `INSERT INTO images (tenant_id, id, external_id, sha256, format, byte_length, width, height, prompt, status)
       SELECT $2, turned.id, (SELECT external_id FROM images i WHERE i.tenant_id = $1 AND i.id = turned.id),
         f.sha256, f.format, f.byte_length, f.width, f.height, f.prompt, f.status
       FROM turned JOIN images f ON f.tenant_id = $1 AND f.id = turned.from_id`,
    `INSERT INTO item_vectors (tenant_id, tower, image_id, vector)
       SELECT $2, tower, turned.id, vector FROM turned JOIN item_vectors ON tenant_id = $1 AND image_id = turned.from_id`,
    `INSERT INTO feedback (tenant_id, id, user_id, image_id, sentiment, weight, judged_at)
       SELECT $2, id, user_id, image_id,
         CASE sentiment WHEN 'LIKE' THEN 'DISLIKE'::sentiment ELSE 'LIKE' END, weight, judged_at
       FROM feedback WHERE tenant_id = $1`,
  ]) {
    await owner.query(statement, [one.id, twin.id].slice(0, statement.includes('$2') ? 2 : 0));
  }
  for (const colour of COLOURS) {
    const bytes = await picture(colour);
    await service.platform.pictures.put(twin.id, createHash('sha256').update(bytes).digest('hex'), bytes);
  }
}

/** Everything that memory has a part in. */
const QUESTIONS: Readonly<Record<string, string>> = {
  scores: `{ user(by: { externalId: "ada" }) { rank(imageIds: $images) {
    scores { value basis image { id sha256 } explanation { influences { effect feedback { sentiment } } } } } } }`,
  recommendations: `{ user(by: { externalId: "bob" }) { recommendations { nodes { value image { id sha256 } } } } }`,
  profiles: `{ user(by: { externalId: "ada" }) { preferenceProfile { likes dislikes vector } } }`,
  'similar people': `{ user(by: { externalId: "ada" }) { similarUsers { nodes { similarity user { externalId } } } } }`,
  'similar images': `{ images { nodes { id sha256 similarImages { id sha256 } } } }`,
};

async function answerTo(tenant: TestTenant, question: string): Promise<unknown> {
  const text = question.includes('$images') ? `query ($images: [ID!]!) ${question}` : question;
  const { data, errors } = await tenant.ask(text, question.includes('$images') ? { images } : {});
  expect(errors).toEqual([]);
  return data;
}

/** As after a start. */
function forget(): void {
  Object.assign(service.platform, {
    userStates: new UserStates(CACHE_BYTES),
    candidates: new Candidates(service.platform.database, CACHE_BYTES),
    catalogues: new ImageCatalogues(CACHE_BYTES),
    profiles: new ProfileIndexes(CACHE_BYTES),
  });
}

describe('what is kept in memory', () => {
  it.each(Object.keys(QUESTIONS))(
    'of %s is the tenant’s own, whoever came first and however many at once',
    async (name) => {
      const question = QUESTIONS[name]!;
      forget();
      const ofOne = await answerTo(one, question);
      forget();
      const ofTwin = await answerTo(twin, question);
      expect(ofTwin).not.toEqual(ofOne); // or this could not tell them apart
      forget();
      for (const [tenant, answer] of [
        [one, ofOne],
        [twin, ofTwin],
        [one, ofOne],
      ] as const) {
        expect(await answerTo(tenant, question)).toEqual(answer);
      }
      forget();
      const both = await Promise.all(
        Array.from({ length: 12 }, async (_, i) => ({ i, answer: await answerTo(i % 2 ? one : twin, question) })),
      );
      for (const { i, answer } of both) expect(answer).toEqual(i % 2 ? ofOne : ofTwin);
    },
  );

  it('and of pictures: one id is another picture to each, as stored and resized', async () => {
    const hashes: string[][] = [];
    for (const tenant of [one, twin, one]) {
      const { data } = await tenant.ask(
        'query ($id: ID!) { image(by: { id: $id }) { sha256 url small: url(maxSize: 256) } }',
        {
          id: images[0],
        },
      );
      const bytes = await Promise.all(
        [data.image.url, data.image.small].map(async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())),
      );
      const [stored, small] = bytes.map((each) => createHash('sha256').update(each).digest('hex'));
      expect(stored).toBe(data.image.sha256);
      hashes.push([stored!, small!]);
    }
    expect(hashes[2]).toEqual(hashes[0]);
    expect(hashes[1]![0]).not.toBe(hashes[0]![0]);
    expect(hashes[1]![1]).not.toBe(hashes[0]![1]);
  });

  it('and of documents: one that a tenant has registered is no other’s', async () => {
    const query = '{ viewer { role tenant { id } } }';
    const sha256Hash = createHash('sha256').update(query).digest('hex');
    const send = async (tenant: TestTenant, body: object) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${tenant.serviceKey}` };
      const extensions = { persistedQuery: { version: 1, sha256Hash } };
      const response = await fetch(`${service.url}/graphql`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ ...body, extensions }),
      });
      return (await response.json()) as { data?: unknown; errors?: { extensions: { code: string } }[] };
    };
    expect((await send(one, { query })).errors).toBeUndefined();
    expect((await send(one, {})).errors).toBeUndefined();
    expect((await send(twin, {})).errors?.[0]?.extensions.code).toBe('PERSISTED_QUERY_NOT_FOUND');
  });
});

describe('jobs', () => {
  const rowsOf = async (tenant: TestTenant) => {
    const rows: string[] = [];
    for (const table of ['images', 'embeddings', 'item_vectors', 'users', 'feedback', 'profiles']) {
      const found = await owner.query(
        `SELECT to_jsonb(t)::text AS row FROM ${table} t WHERE tenant_id = $1 ORDER BY 1`,
        [tenant.id],
      );
      rows.push(...found.rows.map(({ row }) => row));
    }
    return rows;
  };

  it('carry the tenant that they were sent for', async () => {
    await owner.query('DELETE FROM pgboss.job');
    const [ada] = (await one.people('ada')) as [string];
    await one.upload('#123456');
    await one.judge(ada, 'SKIP', images[2]!);
    const { rows } = await owner.query(`SELECT name, data->>'tenantId' AS tenant FROM pgboss.job ORDER BY name`);
    expect(rows).toEqual([
      { name: 'encode', tenant: one.id },
      { name: 'profiles', tenant: one.id },
    ]);
  });

  it('of one tenant touch no row of the other, though the ids in them are both’s', async () => {
    await owner.query(`UPDATE images SET status = 'PENDING'`);
    const before = await rowsOf(twin);
    await one.encode();
    expect(await rowsOf(twin)).toEqual(before);
    const own = await withTenant(one.id, () =>
      service.test.database.image.findMany({ select: { id: true, status: true } }),
    );
    expect(own.find(({ id }) => id === fromGlobalId(images[0]!)?.id)?.status).toBe('READY');
    await owner.query(`UPDATE images SET status = 'READY'`);
  });
});

describe('log lines', () => {
  it('of a request carry the tenant that asked, and of no other', async () => {
    const from = service.logLines().length;
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => {
        const [name, tenant] = i % 2 ? (['one', one] as const) : (['twin', twin] as const);
        return fetch(`${service.url}/graphql`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            authorization: `Bearer ${tenant.serviceKey}`,
            'x-request-id': `${name}-${i}`,
          },
          body: JSON.stringify({ query: QUESTIONS['similar people'] }),
        });
      }),
    );
    const lines = service.logLines().slice(from);
    const ended = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request completed');
    expect(ended).toHaveLength(20);
    for (const { reqId, tenant } of ended)
      expect([reqId, tenant]).toEqual([reqId, reqId.startsWith('one') ? one.id : twin.id]);
    for (const line of lines) {
      const { reqId = '' } = JSON.parse(line);
      expect(line).not.toContain(reqId.startsWith('one') ? twin.id : one.id);
    }
  });
});
